package tradebook_test

import (
	"os"
	"strings"
	"testing"
)

// The README's example is the one that runs as Example here.
func TestExampleIsThatOfTheReadme(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(readme), "```go\n")
	block, _, _ = strings.Cut(block, "```\n")
	printed := "\t// Output: BTC-USD: +1250.00 USD\n"
	example := strings.Replace(string(source), printed, "", 1)
	example = strings.NewReplacer("package tradebook_test", "package main", "func Example()", "func main()").Replace(example)
	if block != example || !strings.Contains(string(source), printed) {
		t.Errorf("README.md has\n%s\nexample_test.go has\n%s", block, example)
	}
}
