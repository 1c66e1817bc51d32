package tradebook

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff is how long to pause before the next try: from first on, doubling up to
// max, each between half of that and all of it so that many clients do not come
// back at the same moment.
type backoff struct {
	first, max time.Duration
	current    time.Duration
}

func (b *backoff) next() time.Duration {
	b.current = min(max(b.first, 2*b.current), b.max)
	return b.current/2 + rand.N(b.current/2+1)
}

func (b *backoff) reset() {
	b.current = 0
}

// sleep pauses; false when the context ended first.
func sleep(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
