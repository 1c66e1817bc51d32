package tradebook

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/tradebook/tradebook/clients/go/tradebookv1"
)

// NewStream opens EventService/Subscribe, the only stream there is. The generated
// client calls it.
//
// The stream lives until its context ends: cancel that when the stream is no longer
// needed. With a cursor, Recv says that the event before was handled, also when it
// then returns an error because the context has ended.
func (c *Conn) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	return c.streamer(0)(ctx, desc, c.target, method, options...)
}

// streamer returns the stream as seen by the interceptor before number i.
func (c *Conn) streamer(i int) grpc.Streamer {
	if i == len(c.streaming) {
		return c.newStream
	}
	return func(ctx context.Context, desc *grpc.StreamDesc, target *grpc.ClientConn, method string, options ...grpc.CallOption) (grpc.ClientStream, error) {
		return c.streaming[i](ctx, desc, target, method, c.streamer(i+1), options...)
	}
}

func (c *Conn) newStream(ctx context.Context, _ *grpc.StreamDesc, _ *grpc.ClientConn, method string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	settings, err := readCallOptions(options)
	if err == nil && method != tradebookv1.EventService_Subscribe_FullMethodName {
		err = status.Errorf(codes.Unimplemented, "%s: the only stream is %s", method, tradebookv1.EventService_Subscribe_FullMethodName)
	}
	if err == nil && c.closing.Err() != nil {
		err = c.explain(errClosed, method, 0)
	}
	if err != nil {
		settings.finish(err)
		return nil, err
	}
	s := &eventStream{conn: c, settings: settings, trailer: metadata.MD{}}
	s.ctx, s.cancel = context.WithCancelCause(withoutRequestID(ctx))
	stayOpen := context.AfterFunc(c.closing, func() { s.cancel(errClosed) })
	context.AfterFunc(s.ctx, func() { stayOpen() })
	return s, nil
}

// eventStream is one call of Subscribe.
type eventStream struct {
	conn       *Conn
	settings   callSettings
	ctx        context.Context
	cancel     context.CancelCauseFunc
	subscriber *subscriber
	trailer    metadata.MD
	end        error // why the stream has ended
}

func (s *eventStream) Header() (metadata.MD, error) { return metadata.MD{}, nil }
func (s *eventStream) Trailer() metadata.MD         { return s.trailer }
func (s *eventStream) Context() context.Context     { return s.ctx }
func (s *eventStream) CloseSend() error             { return nil }

// SendMsg returns when the place where the stream starts is known, or when that has
// failed, which RecvMsg tells.
func (s *eventStream) SendMsg(message any) error {
	request, ok := message.(*tradebookv1.SubscribeRequest)
	if !ok {
		return status.Errorf(codes.Internal, "the request is a %T, not a SubscribeRequest", message)
	}
	if err := s.start(request); err != nil {
		s.finish(err)
	}
	return nil
}

func (s *eventStream) start(request *tradebookv1.SubscribeRequest) error {
	if err := checkSubscribe(request); err != nil {
		return err
	}
	c := s.conn
	wake := make(chan struct{}, 1)
	s.subscriber = &subscriber{
		events:    tradebookv1.NewEventServiceClient(c),
		options:   s.settings.ofCallsWithin(),
		timeout:   c.timeout,
		symbol:    request.Symbol,
		heartbeat: heartbeatUnknown,
		isBehind:  true,
		wake:      wake,
	}
	if c.eventsAddress != nil {
		dialer := c.dialer(*c.eventsAddress, protocolSub, doorbellFrameBytesMax)
		s.subscriber.doorbell = newDoorbell(dialer, topicOf(request.GetSymbol()), wake)
		go s.subscriber.doorbell.run(s.ctx)
	}
	if request.Cursor != nil {
		if !c.addStream() {
			return errClosed
		}
		s.subscriber.cursor = newCursor(s.subscriber, request.GetCursor(), wake)
		go func() {
			defer c.streams.Done()
			s.subscriber.cursor.run(s.ctx)
		}()
	}
	return s.subscriber.findPlace(s.ctx, request)
}

func (s *eventStream) RecvMsg(message any) error {
	if s.end != nil {
		return s.end
	}
	event, ok := message.(*tradebookv1.Event)
	if !ok || s.subscriber == nil {
		return status.Errorf(codes.Internal, "a stream of events receives an Event after its request was sent, not a %T", message)
	}
	next, err := s.subscriber.next(s.ctx)
	if err != nil {
		s.finish(err)
		return s.end
	}
	proto.Reset(event)
	proto.Merge(event, next)
	return nil
}

// finish ends the stream and moves its cursor for the last time.
func (s *eventStream) finish(err error) {
	if s.ctx.Err() != nil {
		err = endOf(s.ctx)
	}
	s.end = err
	s.cancel(err)
	if s.subscriber != nil && s.subscriber.cursor != nil {
		s.subscriber.cursor.end(s.ctx)
	}
	s.trailer = trailerOf(status.Convert(err).Proto())
	for _, to := range s.settings.trailers {
		*to = s.trailer
	}
	s.settings.finish(err)
}

// endOf makes a status of the reason why a stream's context has ended.
func endOf(ctx context.Context) error {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errClosed):
		return status.Error(codes.Canceled, "the client was closed")
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, "the time of the stream is over")
	default:
		return status.Error(codes.Canceled, "the caller cancelled the stream")
	}
}
