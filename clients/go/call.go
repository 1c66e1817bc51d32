package tradebook

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/tradebook/tradebook/clients/go/tradebookv1"
)

const (
	retryFirst = 5 * time.Millisecond
	retryMax   = 500 * time.Millisecond
)

// Invoke calls a method, "/package.Service/Method", and waits for the answer. The
// generated clients call it.
func (c *Conn) Invoke(ctx context.Context, method string, args, reply any, options ...grpc.CallOption) error {
	return c.invoker(0)(ctx, method, args, reply, c.target, options...)
}

// invoker returns the call as seen by the interceptor before number i.
func (c *Conn) invoker(i int) grpc.UnaryInvoker {
	if i == len(c.unary) {
		return c.invoke
	}
	return func(ctx context.Context, method string, args, reply any, target *grpc.ClientConn, options ...grpc.CallOption) error {
		return c.unary[i](ctx, method, args, reply, target, c.invoker(i+1), options...)
	}
}

func (c *Conn) invoke(ctx context.Context, method string, args, reply any, _ *grpc.ClientConn, options ...grpc.CallOption) error {
	settings, err := readCallOptions(options)
	if err == nil {
		err = c.call(ctx, method, args, reply, &settings)
	}
	settings.finish(err)
	return err
}

func (c *Conn) call(ctx context.Context, method string, args, reply any, settings *callSettings) error {
	if ctx.Err() != nil {
		return status.FromContextError(ctx.Err()).Err()
	}
	started := time.Now()
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	envelope, err := c.newEnvelope(ctx, method, args, settings)
	if err != nil {
		return err
	}
	answer, from, err := c.tryUntilAnswered(ctx, envelope)
	if err != nil {
		return c.explain(err, method, time.Since(started))
	}
	trailer, err := readReply(method, answer, settings, reply)
	settings.received(from.peer(), trailer)
	return err
}

// tryUntilAnswered sends the same request again and again until there is an answer.
// UNAVAILABLE counts as one only when no time is left to pause.
func (c *Conn) tryUntilAnswered(ctx context.Context, envelope *tradebookv1.Request) (*tradebookv1.Reply, *exchange, error) {
	deadline, _ := ctx.Deadline()
	pause := backoff{first: retryFirst, max: retryMax}
	for {
		answer, from, err := c.try(ctx, envelope)
		isUnavailable := err == nil && answer.GetCode() == tradebookv1.Code_CODE_UNAVAILABLE
		if !isUnavailable && !errors.Is(err, errConnectionLost) {
			return answer, from, err
		}
		wait := pause.next()
		if isUnavailable && time.Until(deadline) <= wait {
			return answer, from, nil
		}
		if !sleep(ctx, wait) {
			return nil, nil, ctx.Err()
		}
	}
}

// try sends the request once.
func (c *Conn) try(ctx context.Context, envelope *tradebookv1.Request) (*tradebookv1.Reply, *exchange, error) {
	x, err := c.connector.get(ctx)
	if err != nil {
		return nil, nil, err
	}
	deadline, _ := ctx.Deadline()
	envelope.TimeoutMs = proto.Int64(max(1, time.Until(deadline).Milliseconds()))
	frame, err := newFrame(x, envelope)
	if err != nil {
		return nil, nil, err
	}
	body, err := x.roundTrip(ctx, frame)
	if err != nil {
		return nil, nil, err
	}
	answer := &tradebookv1.Reply{}
	if err := proto.Unmarshal(body, answer); err != nil {
		return nil, nil, status.Errorf(codes.Internal, "%s: the answer cannot be read; is the server a tradebook server? %v",
			envelope.GetMethod(), err)
	}
	return answer, x, nil
}

// explain makes a status of the reason why there is no answer.
func (c *Conn) explain(err error, method string, after time.Duration) error {
	after = after.Round(time.Millisecond)
	switch {
	case errors.Is(err, errClosed):
		return status.Errorf(codes.Canceled, "%s: the client was closed", method)
	case errors.Is(err, context.Canceled):
		return status.Errorf(codes.Canceled, "%s: the caller cancelled the call", method)
	case errors.Is(err, context.DeadlineExceeded):
		if away := c.connector.whyAway(); away != nil {
			return status.Errorf(codes.Unavailable, "%s: no connection to %s within %v (%v); is the server running there?",
				method, c.address.text, after, away)
		}
		fallthrough
	case errors.Is(err, errNoAnswer):
		return status.Errorf(codes.DeadlineExceeded, "%s: no answer from %s within %v; whether a write took effect is "+
			"open, calling again with the same request id is safe and tells", method, c.address.text, after)
	}
	return err
}
