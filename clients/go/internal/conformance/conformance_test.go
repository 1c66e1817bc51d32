// Package conformance runs the cases of tests/conformance, which all client libraries
// run, by the clients generated for Go.
package conformance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	tradebook "github.com/tradebook/tradebook/clients/go"
)

const pollTimeout = 20 * time.Second

// transports names the addresses of the server, for calls and for events.
var transports = map[string][2]string{
	"tcp": {"address", "events_address"},
	"ipc": {"ipc", "events_ipc"},
}

func TestConformance(t *testing.T) {
	files, err := filepath.Glob("../../../../tests/conformance/cases/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no cases: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var cases []caseFile
		if err := decode(data, &cases); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, c := range cases {
			for transport, names := range transports {
				t.Run(transport+"/"+c.Name, func(t *testing.T) {
					t.Parallel()
					run(t, c, names)
				})
			}
		}
	}
}

// runner does the steps of one case.
type runner struct {
	server    *server
	names     [2]string
	conns     map[connKey]*tradebook.Conn
	variables map[string]any
}

// connKey tells the channels of a case apart.
type connKey struct {
	clientID      string
	withoutEvents bool
}

func run(t *testing.T, c caseFile, names [2]string) {
	r := &runner{
		server:    startServer(t, c.Options),
		names:     names,
		conns:     map[connKey]*tradebook.Conn{},
		variables: map[string]any{},
	}
	t.Cleanup(func() {
		for _, conn := range r.conns {
			conn.Close()
		}
	})
	if err := r.doAll(c.Steps); err != nil {
		t.Fatal(err)
	}
}

func (r *runner) conn(key connKey) (*tradebook.Conn, error) {
	if conn := r.conns[key]; conn != nil {
		return conn, nil
	}
	var options []tradebook.Option
	if key.clientID != "" {
		options = append(options, tradebook.WithClientID(key.clientID))
	}
	if !key.withoutEvents {
		options = append(options, tradebook.WithEventsAddress(r.server.addresses[r.names[1]]))
	}
	conn, err := tradebook.NewClient(r.server.addresses[r.names[0]], options...)
	r.conns[key] = conn
	return conn, err
}

func (r *runner) doAll(steps []rawStep) error {
	for i, raw := range steps {
		if err := r.do(raw); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return nil
}

func (r *runner) do(raw rawStep) error {
	kind, s, err := raw.resolve(r.variables)
	if err != nil {
		return err
	}
	switch kind {
	case "call":
		return r.call(s)
	case "parallel":
		return r.parallel(s)
	case "subscribe":
		return r.subscribe(s)
	case "server":
		rows, err := r.server.do(s.Server)
		if err == nil && s.Rows != nil {
			err = compare("rows", s.Rows, rows)
		}
		return err
	}
	return fmt.Errorf("the step %v is of no kind that is known", raw)
}

func (r *runner) call(s *step) error {
	for started := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		got, err := r.callOnce(s)
		if err != nil {
			return err
		}
		if err = s.Expect.check(got); err == nil {
			return r.save(s, got)
		}
		if !s.Poll || time.Since(started) > pollTimeout {
			return fmt.Errorf("%s: %w", s.Call, err)
		}
	}
}

func (r *runner) callOnce(s *step) (outcome, error) {
	conn, err := r.conn(connKey{clientID: s.ClientID})
	if err != nil {
		return outcome{}, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan outcome, 1)
	go func() { ended <- call(ctx, conn, s) }()
	if err := r.doAll(s.Meanwhile); err != nil {
		return outcome{}, fmt.Errorf("meanwhile: %w", err)
	}
	if s.Cancel {
		cancel()
	}
	return <-ended, nil
}

func (r *runner) save(s *step, got outcome) error {
	for name, path := range s.Save {
		value, ok := at(got.response, path)
		if !ok {
			return fmt.Errorf("there is no %s to save", path)
		}
		r.variables[name] = value
	}
	return nil
}

// parallel has all its calls under way at once.
func (r *runner) parallel(s *step) error {
	conn, err := r.conn(connKey{})
	if err != nil {
		return err
	}
	times := max(1, s.Times)
	ended := make(chan error, times*len(s.Parallel))
	codes := make(chan string, cap(ended))
	for _, raw := range s.Parallel {
		kind, inner, err := raw.resolve(r.variables)
		if err != nil || kind != "call" {
			return errors.Join(err, fmt.Errorf("a parallel step has calls only, not %q", kind))
		}
		for range times {
			go func() {
				got := call(context.Background(), conn, inner)
				codes <- codeOf(got.err)
				expect := inner.Expect
				if s.Codes != nil {
					expect = expectation{Code: codeOf(got.err)}
				}
				ended <- expect.check(got)
			}()
		}
	}
	counts := map[string]int{}
	var all error
	for range cap(ended) {
		all = errors.Join(all, <-ended)
		counts[<-codes]++
	}
	if s.Codes != nil && !maps.Equal(counts, s.Codes) {
		all = errors.Join(all, fmt.Errorf("the calls ended with %v, not %v", counts, s.Codes))
	}
	return all
}

func (r *runner) subscribe(s *step) error {
	conn, err := r.conn(connKey{withoutEvents: s.EventsAddress != nil && !*s.EventsAddress})
	if err != nil {
		return err
	}
	reading, err := startReading(conn, s)
	if err != nil {
		return err
	}
	defer reading.cancel()
	if err := r.doAll(s.Meanwhile); err != nil {
		return fmt.Errorf("meanwhile: %w", err)
	}
	if err := reading.awaitEvents(); err != nil && s.Expect.Code == "" {
		return err
	}
	if err := r.doAll(s.After); err != nil {
		return fmt.Errorf("after: %w", err)
	}
	return reading.end(s)
}
