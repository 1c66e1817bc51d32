package tradebook_test

import (
	"bytes"
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	tradebook "github.com/tradebook/tradebook/clients/go"
	pb "github.com/tradebook/tradebook/clients/go/tradebookv1"
)

func echo(ctx context.Context, conn *tradebook.Conn, options ...grpc.CallOption) error {
	_, err := pb.NewAdminServiceClient(conn).Echo(ctx, &pb.EchoRequest{Payload: []byte("ping")}, options...)
	return err
}

func deleteCursor(ctx context.Context, conn *tradebook.Conn) error {
	_, err := pb.NewEventServiceClient(conn).DeleteCursor(ctx, &pb.DeleteCursorRequest{Name: proto.String("a")})
	return err
}

func wantCode(t *testing.T, err error, want codes.Code, parts ...string) {
	t.Helper()
	if status.Code(err) != want {
		t.Fatalf("ended with %v, not %v", err, want)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Fatalf("%q does not contain %q", err, part)
		}
	}
}

var short = tradebook.WithTimeout(50 * time.Millisecond)

// wantUnavailable calls until the error tells the reason why there is no answer: while
// the first try to connect is under way there is none yet.
func wantUnavailable(t *testing.T, conn *tradebook.Conn, reason string) {
	t.Helper()
	err := echo(t.Context(), conn)
	for tries := 0; !strings.Contains(err.Error(), reason) && tries < 400; tries++ {
		err = echo(t.Context(), conn)
	}
	wantCode(t, err, codes.Unavailable, reason)
}

func TestCallIsSentAgainWithTheSameIDAfterALostConnection(t *testing.T) {
	requests := make(chan *pb.Request, 10)
	server := fakeServer(t, func(c *fakeConn, id uint32, r *pb.Request) {
		requests <- r
		if c.number < 3 {
			c.Close()
			return
		}
		c.ok(id, &pb.DeleteCursorResponse{})
	})
	if err := deleteCursor(t.Context(), open(t, server.address)); err != nil {
		t.Fatal(err)
	}
	first, second, third := <-requests, <-requests, <-requests
	if len(first.GetRequestId()) != 16 || first.GetRequestId()[6]>>4 != 7 {
		t.Errorf("the request id %x is no UUID of version 7", first.GetRequestId())
	}
	for _, again := range []*pb.Request{second, third} {
		if !bytes.Equal(first.GetRequestId(), again.GetRequestId()) || !bytes.Equal(first.GetPayload(), again.GetPayload()) {
			t.Errorf("sent %v, then %v", first, again)
		}
		if again.GetTimeoutMs() > first.GetTimeoutMs() {
			t.Errorf("the time left grew from %d to %d", first.GetTimeoutMs(), again.GetTimeoutMs())
		}
	}
}

func TestUnavailableAloneIsSentAgain(t *testing.T) {
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		t.Run(code.String(), func(t *testing.T) {
			requests := make(chan *pb.Request, 10)
			server := fakeServer(t, func(c *fakeConn, id uint32, r *pb.Request) {
				requests <- r
				if len(requests) == 1 {
					c.fail(id, pb.Code(code), "because")
				} else {
					c.ok(id, &pb.DeleteCursorResponse{})
				}
			})
			err := deleteCursor(t.Context(), open(t, server.address))
			if code == codes.Unavailable {
				if err != nil || len(requests) != 2 || !bytes.Equal((<-requests).GetRequestId(), (<-requests).GetRequestId()) {
					t.Fatalf("ended with %v", err)
				}
				return
			}
			wantCode(t, err, code, "because")
			if len(requests) != 1 {
				t.Errorf("sent %d times", len(requests))
			}
		})
	}
}

func TestUnavailableUntilTheDeadlineTellsTheServersReason(t *testing.T) {
	server := fakeServer(t, func(c *fakeConn, id uint32, r *pb.Request) {
		c.fail(id, pb.Code_CODE_UNAVAILABLE, "the disk is asleep")
	})
	wantUnavailable(t, open(t, server.address, short), "the disk is asleep")
}

func TestNobodyThereIsUnavailableWithTheReason(t *testing.T) {
	server := startFake(t, rep, nil)
	server.stop()
	wantUnavailable(t, open(t, server.address, short), "connection refused")
}

func TestOtherProtocolIsUnavailableWithTheReason(t *testing.T) {
	server := startFake(t, pub, nil)
	go server.serve()
	wantUnavailable(t, open(t, server.address, short), "right port?")
}

func TestNoAnswerIsDeadlineExceeded(t *testing.T) {
	conn := fallsSilent(t)
	for range 2 { // the connection is not given up at once
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		wantCode(t, echo(ctx, conn), codes.DeadlineExceeded, "same request id")
	}
}

func TestQuietConnectionIsGivenUp(t *testing.T) {
	conn := fallsSilent(t)
	ctx, cancel := context.WithTimeout(t.Context(), 1100*time.Millisecond)
	defer cancel()
	wantCode(t, echo(ctx, conn), codes.DeadlineExceeded)
	if err := echo(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
}

// fallsSilent returns a connection that has answered once and will not again; the
// next one will.
func fallsSilent(t *testing.T) *tradebook.Conn {
	t.Helper()
	var requests atomic.Int32
	server := fakeServer(t, func(c *fakeConn, id uint32, r *pb.Request) {
		if requests.Add(1) == 1 || c.number > 1 {
			c.echo(id, r)
		}
	})
	conn := open(t, server.address)
	if err := echo(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestCallWhoseTimeIsOverIsNotSent(t *testing.T) {
	conn := open(t, nowhere)
	ctx, cancel := context.WithTimeout(t.Context(), -time.Second)
	defer cancel()
	wantCode(t, echo(ctx, conn), codes.DeadlineExceeded)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	wantCode(t, echo(cancelled, conn), codes.Canceled)
}

func TestDeadlineIsToldToTheServer(t *testing.T) {
	timeouts := make(chan int64, 10)
	server := fakeServer(t, func(c *fakeConn, id uint32, r *pb.Request) {
		timeouts <- r.GetTimeoutMs()
		c.echo(id, r)
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	for _, call := range []struct {
		ctx     context.Context
		options []tradebook.Option
		least   int64
		most    int64
	}{
		{t.Context(), nil, 1, 10_000},
		{t.Context(), []tradebook.Option{tradebook.WithTimeout(30 * time.Second)}, 10_001, 30_000},
		{ctx, nil, 30_001, 3_600_000},
	} {
		if err := echo(call.ctx, open(t, server.address, call.options...)); err != nil {
			t.Fatal(err)
		}
		if told := <-timeouts; told < call.least || told > call.most {
			t.Errorf("told %d ms, not %d to %d", told, call.least, call.most)
		}
	}
}

func TestCancelledCallEndsAndItsLateReplyIsDropped(t *testing.T) {
	arrived := make(chan uint32, 1)
	server := fakeServer(t, func(c *fakeConn, id uint32, r *pb.Request) {
		if len(r.GetMetadata()) > 0 {
			arrived <- id
			return
		}
		c.ok(<-arrived, &pb.EchoResponse{Payload: []byte("late")})
		c.echo(id, r)
	})
	conn := open(t, server.address)
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(t.Context(), "late", "yes"))
	ended := make(chan error)
	go func() { ended <- echo(ctx, conn) }()
	id := <-arrived
	cancel()
	wantCode(t, <-ended, codes.Canceled)
	arrived <- id
	response, err := pb.NewAdminServiceClient(conn).Echo(t.Context(), &pb.EchoRequest{Payload: []byte("next")})
	if err != nil || string(response.GetPayload()) != "next" {
		t.Fatalf("got %v, %v", response, err)
	}
}

func TestRepliesFindTheirCallsInAnyOrder(t *testing.T) {
	const calls = 100
	type waiting struct {
		id uint32
		r  *pb.Request
	}
	var all []waiting
	server := fakeServer(t, func(c *fakeConn, id uint32, r *pb.Request) {
		all = append(all, waiting{id, r})
		for len(all) >= calls && len(all) < 2*calls {
			for i := len(all) - 1; i >= 0; i-- {
				c.echo(all[i].id, all[i].r)
			}
			all = append(all, all...)
		}
	})
	admin := pb.NewAdminServiceClient(open(t, server.address))
	ended := make(chan bool)
	for i := range byte(calls) {
		go func() {
			response, err := admin.Echo(t.Context(), &pb.EchoRequest{Payload: []byte{i}})
			ended <- err == nil && bytes.Equal(response.GetPayload(), []byte{i})
		}()
	}
	for range calls {
		if !<-ended {
			t.Error("a call got no answer or another's")
		}
	}
	if server.connCount() != 1 {
		t.Errorf("there were %d connections", server.connCount())
	}
}

func TestRequestIDs(t *testing.T) {
	requests := make(chan *pb.Request, 1)
	server := fakeServer(t, func(c *fakeConn, id uint32, r *pb.Request) {
		requests <- r
		c.ok(id, &pb.DeleteCursorResponse{})
	})
	conn := open(t, server.address)
	own := tradebook.NewRequestID()
	if err := deleteCursor(tradebook.WithRequestID(t.Context(), own), conn); err != nil {
		t.Fatal(err)
	}
	if r := <-requests; !bytes.Equal(r.GetRequestId(), own) || len(r.GetMetadata()) != 0 {
		t.Errorf("sent %v instead of the id %x", r, own)
	}
	if err := conn.Invoke(t.Context(), "/other.Service/Method", &pb.EchoRequest{}, &pb.EchoResponse{}); err != nil {
		t.Fatal(err)
	}
	if r := <-requests; len(r.GetRequestId()) != 16 {
		t.Errorf("a method that is not known was sent without request id: %v", r)
	}
	if err := echo(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	if r := <-requests; r.RequestId != nil {
		t.Errorf("a method without side effects was sent with a request id: %v", r)
	}
}

func TestErrorsCarryTheirDetails(t *testing.T) {
	bad, err := anypb.New(&errdetails.BadRequest{
		FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "name", Description: "is wrong"}}})
	if err != nil {
		t.Fatal(err)
	}
	server := fakeServer(t, func(c *fakeConn, id uint32, r *pb.Request) {
		c.sendReply(id, &pb.Reply{Code: pb.Code_CODE_INVALID_ARGUMENT.Enum(), Message: proto.String("no"), Details: []*anypb.Any{bad}})
	})
	var trailer metadata.MD
	err = echo(t.Context(), open(t, server.address), grpc.Trailer(&trailer))
	wantCode(t, err, codes.InvalidArgument)
	details := status.Convert(err).Details()
	if len(details) != 1 || details[0].(*errdetails.BadRequest).GetFieldViolations()[0].GetField() != "name" {
		t.Errorf("the details are %v", details)
	}
	rich := &spb.Status{}
	if err := proto.Unmarshal([]byte(trailer.Get("grpc-status-details-bin")[0]), rich); err != nil || len(rich.GetDetails()) != 1 {
		t.Errorf("the trailer has %v, %v", rich, err)
	}
}

func TestAnswersThatCannotBeRead(t *testing.T) {
	server := fakeServer(t, func(c *fakeConn, id uint32, r *pb.Request) {
		switch r.GetMetadata()[0].GetKey() {
		case "garbage":
			c.send([]byte{byte(id >> 24), byte(id >> 16), byte(id >> 8), byte(id), 0xff})
		case "response":
			c.sendReply(id, &pb.Reply{Payload: []byte{0xff}})
		case "code":
			c.fail(id, pb.Code(99), "beyond")
		}
	})
	conn := open(t, server.address)
	for key, want := range map[string]codes.Code{"garbage": codes.Internal, "response": codes.Internal, "code": codes.Unknown} {
		wantCode(t, echo(metadata.AppendToOutgoingContext(t.Context(), key, ""), conn), want)
	}
}

func TestLargeReplyEndsTheConnection(t *testing.T) {
	server := fakeServer(t, func(c *fakeConn, id uint32, r *pb.Request) {
		if c.number == 1 {
			c.ok(id, &pb.EchoResponse{Payload: make([]byte, 2000)})
		} else {
			c.echo(id, r)
		}
	})
	if err := echo(t.Context(), open(t, server.address, tradebook.WithMaxReplySize(1000))); err != nil {
		t.Fatal(err)
	}
	if server.connCount() != 2 {
		t.Errorf("there were %d connections", server.connCount())
	}
}

func TestCloseEndsCallsAndRefusesLaterOnes(t *testing.T) {
	arrived := make(chan bool, 1)
	server := fakeServer(t, func(*fakeConn, uint32, *pb.Request) { arrived <- true })
	conn := open(t, server.address)
	ended := make(chan error)
	go func() { ended <- echo(t.Context(), conn) }()
	<-arrived
	conn.Close()
	wantCode(t, <-ended, codes.Canceled, "closed")
	wantCode(t, echo(t.Context(), conn), codes.Canceled, "closed")
	_, err := pb.NewEventServiceClient(conn).Subscribe(t.Context(), &pb.SubscribeRequest{})
	wantCode(t, err, codes.Canceled, "closed")
}

func TestCallsOverIPC(t *testing.T) {
	if err := echo(t.Context(), open(t, ipcAddress)); err != nil {
		t.Fatal(err)
	}
}

func TestWrongSettingsAreRefused(t *testing.T) {
	for _, address := range []string{"", "127.0.0.1:7601", "http://127.0.0.1:7601", "tcp://127.0.0.1", "tcp://:7601", "ipc://"} {
		if _, err := tradebook.NewClient(address); err == nil {
			t.Errorf("the address %q was accepted", address)
		}
		if _, err := tradebook.NewClient("tcp://127.0.0.1:7601", tradebook.WithEventsAddress(address)); err == nil {
			t.Errorf("the events address %q was accepted", address)
		}
	}
	for _, option := range []tradebook.Option{tradebook.WithTimeout(0), tradebook.WithMaxReplySize(0)} {
		if _, err := tradebook.NewClient("tcp://127.0.0.1:7601", option); err == nil {
			t.Error("a wrong option was accepted")
		}
	}
}
