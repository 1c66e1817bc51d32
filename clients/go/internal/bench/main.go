// Command bench measures calls of the Go client against a server in a closed loop:
// so many are always under way.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	tradebook "github.com/tradebook/tradebook/clients/go"
	pb "github.com/tradebook/tradebook/clients/go/tradebookv1"
)

const warmUp = 500 * time.Millisecond

func main() {
	address := flag.String("address", "tcp://127.0.0.1:7601", "the server")
	duration := flag.Duration("duration", 5*time.Second, "how long to measure each")
	flag.Parse()
	conn, err := tradebook.NewClient(*address)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	fmt.Printf("%-14s %9s %10s %9s %9s\n", "call", "in flight", "calls/s", "p50", "p99")
	for _, operation := range []struct {
		name string
		call func(context.Context) error
	}{
		{"Echo", echo(conn)},
		{"CreateSignal", createSignal(conn)},
	} {
		for _, inFlight := range []int{1, 64} {
			measure(operation.call, inFlight, warmUp)
			times := measure(operation.call, inFlight, *duration)
			slices.Sort(times)
			fmt.Printf("%-14s %9d %10.0f %9v %9v\n", operation.name, inFlight, float64(len(times))/duration.Seconds(),
				times[len(times)/2].Round(time.Microsecond), times[len(times)*99/100].Round(time.Microsecond))
		}
	}
}

// measure calls for so long and returns how long each call took.
func measure(call func(context.Context) error, inFlight int, duration time.Duration) []time.Duration {
	until := time.Now().Add(duration)
	of := make([][]time.Duration, inFlight)
	var callers sync.WaitGroup
	for i := range inFlight {
		callers.Go(func() {
			for started := time.Now(); started.Before(until); started = time.Now() {
				if err := call(context.Background()); err != nil {
					log.Fatal(err)
				}
				of[i] = append(of[i], time.Since(started))
			}
		})
	}
	callers.Wait()
	return slices.Concat(of...)
}

func echo(conn *tradebook.Conn) func(context.Context) error {
	admin := pb.NewAdminServiceClient(conn)
	request := &pb.EchoRequest{Payload: make([]byte, 128)}
	return func(ctx context.Context) error {
		_, err := admin.Echo(ctx, request)
		return err
	}
}

func createSignal(conn *tradebook.Conn) func(context.Context) error {
	signals := pb.NewSignalServiceClient(conn)
	request := &pb.CreateSignalRequest{Signal: &pb.Signal{
		Symbol:             proto.String("BTC-USD"),
		Direction:          pb.Direction_DIRECTION_LONG.Enum(),
		Confidence:         proto.Float64(0.72),
		Tier:               pb.Tier_TIER_HIGH.Enum(),
		EnsemblePrediction: proto.Float64(0.64),
		EntryPrice:         proto.Float64(64000),
		ModelVersion:       proto.String("bench"),
	}}
	return func(ctx context.Context) error {
		_, err := signals.CreateSignal(ctx, request)
		return err
	}
}
