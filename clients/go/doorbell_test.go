package tradebook

import "testing"

func TestTopicOfASymbol(t *testing.T) {
	for symbol, want := range map[string]string{
		"":        "trade.closed/",
		"BTC-USD": "trade.closed/BTC-USD/",
		"BTC/USD": "trade.closed/BTC%2FUSD/",
		"a.b_c~9": "trade.closed/a.b_c~9/",
		"é %":     "trade.closed/%C3%A9%20%25/",
	} {
		if got := topicOf(symbol); got != want {
			t.Errorf("the topic of %q is %q, not %q", symbol, got, want)
		}
	}
}
