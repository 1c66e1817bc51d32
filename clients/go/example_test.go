package tradebook_test

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"os"

	"google.golang.org/protobuf/proto"

	tradebook "github.com/tradebook/tradebook/clients/go"
	pb "github.com/tradebook/tradebook/clients/go/tradebookv1"
)

func Example() {
	conn, err := tradebook.NewClient(
		cmp.Or(os.Getenv("TRADEBOOK_ADDRESS"), "tcp://127.0.0.1:7601"),
		tradebook.WithEventsAddress(cmp.Or(os.Getenv("TRADEBOOK_EVENTS_ADDRESS"), "tcp://127.0.0.1:7602")))
	check(err)
	defer conn.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	closed, err := pb.NewEventServiceClient(conn).Subscribe(ctx, &pb.SubscribeRequest{})
	check(err)
	signal, err := pb.NewSignalServiceClient(conn).CreateSignal(ctx, &pb.CreateSignalRequest{Signal: &pb.Signal{
		Symbol: proto.String("BTC-USD"), Direction: pb.Direction_DIRECTION_LONG.Enum(), Tier: pb.Tier_TIER_HIGH.Enum(),
		Confidence: proto.Float64(0.72), EnsemblePrediction: proto.Float64(0.64), EntryPrice: proto.Float64(64000)}})
	check(err)
	trades := pb.NewTradeServiceClient(conn)
	_, err = trades.OpenTrade(ctx, &pb.OpenTradeRequest{SignalId: signal.Id})
	check(err)
	_, err = trades.CloseTrade(ctx, &pb.CloseTradeRequest{
		SignalId: signal.Id, ExitPrice: proto.Float64(65250), ExitReason: proto.String("tp_hit")})
	check(err)

	event, err := closed.Recv()
	check(err)
	trade := event.GetTradeClosed()
	fmt.Printf("%s: %+.2f USD\n", trade.GetSymbol(), trade.GetSignalResult().GetPnlUsd())
	// Output: BTC-USD: +1250.00 USD
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
