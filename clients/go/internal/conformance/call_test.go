package conformance

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	health "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/emptypb"

	tradebook "github.com/tradebook/tradebook/clients/go"
	pb "github.com/tradebook/tradebook/clients/go/tradebookv1"
)

// stubsOf returns the generated clients by the names of their services.
func stubsOf(conn *tradebook.Conn) map[string]any {
	return map[string]any{
		"grpc.health.v1.Health":         health.NewHealthClient(conn),
		"tradebook.v1.AdminService":     pb.NewAdminServiceClient(conn),
		"tradebook.v1.AnalyticsService": pb.NewAnalyticsServiceClient(conn),
		"tradebook.v1.EventService":     pb.NewEventServiceClient(conn),
		"tradebook.v1.ModelService":     pb.NewModelServiceClient(conn),
		"tradebook.v1.PatternService":   pb.NewPatternServiceClient(conn),
		"tradebook.v1.RiskService":      pb.NewRiskServiceClient(conn),
		"tradebook.v1.SignalService":    pb.NewSignalServiceClient(conn),
		"tradebook.v1.TheoryService":    pb.NewTheoryServiceClient(conn),
		"tradebook.v1.TradeService":     pb.NewTradeServiceClient(conn),
	}
}

// outcome is how a call ended: its response in JSON, or an error.
type outcome struct {
	response any
	err      error
}

// call makes the call of a step by the generated client.
func call(ctx context.Context, conn *tradebook.Conn, s *step) outcome {
	if s.TimeoutMs > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(s.TimeoutMs)*time.Millisecond)
		defer cancel()
	}
	for key, value := range s.Metadata {
		ctx = metadata.AppendToOutgoingContext(ctx, key, value)
	}
	if s.RequestID != "" {
		id, err := hex.DecodeString(s.RequestID)
		if err != nil {
			return outcome{err: err}
		}
		ctx = tradebook.WithRequestID(ctx, id)
	}
	service, method, _ := strings.Cut(strings.TrimPrefix(s.Call, "/"), "/")
	descriptor, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service + "." + method))
	stub := reflect.ValueOf(stubsOf(conn)[service])
	if err != nil || !stub.IsValid() {
		return outcome{err: conn.Invoke(ctx, s.Call, &emptypb.Empty{}, &emptypb.Empty{})}
	}
	request, err := message(descriptor.(protoreflect.MethodDescriptor).Input().FullName(), s.Request)
	if err != nil {
		return outcome{err: err}
	}
	if descriptor.(protoreflect.MethodDescriptor).IsStreamingServer() {
		return outcome{err: errors.New("the step calls a stream; it must be a subscribe step")}
	}
	results := stub.MethodByName(method).Call([]reflect.Value{reflect.ValueOf(ctx), reflect.ValueOf(request)})
	if err, _ := results[1].Interface().(error); err != nil {
		return outcome{err: err}
	}
	response, err := toJSON(results[0].Interface().(proto.Message))
	return outcome{response, err}
}

// message reads a message of a type from its JSON.
func message(name protoreflect.FullName, value any) (proto.Message, error) {
	kind, err := protoregistry.GlobalTypes.FindMessageByName(name)
	if err != nil {
		return nil, err
	}
	made := kind.New().Interface()
	if value == nil {
		return made, nil
	}
	data, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return made, protojson.Unmarshal(data, made)
}

func toJSON(from proto.Message) (any, error) {
	data, err := protojson.Marshal(from)
	if err != nil {
		return nil, err
	}
	var value any
	return value, json.Unmarshal(data, &value)
}

// codeNames has the names of the codes as gRPC writes them.
var codeNames = []string{"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
	"ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
	"UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"}

// codeOf returns the name of an outcome's code; an error without a status is none.
func codeOf(err error) string {
	if _, ok := status.FromError(err); !ok {
		return "an error of the runner"
	}
	return codeNames[status.Code(err)]
}

func (e *expectation) checkCode(err error) error {
	want := e.Code
	if want == "" {
		want = codeNames[codes.OK]
	}
	if codeOf(err) != want {
		return fmt.Errorf("ended with %s (%v), not %s", codeOf(err), err, want)
	}
	if !strings.Contains(status.Convert(err).Message(), e.MessageContains) {
		return fmt.Errorf("the message %q does not contain %q", status.Convert(err).Message(), e.MessageContains)
	}
	return nil
}

func (e *expectation) check(got outcome) error {
	if err := e.checkCode(got.err); err != nil {
		return err
	}
	if err := e.checkDetails(got.err); err != nil {
		return err
	}
	if e.Response != nil {
		if err := compare("response", e.Response, got.response); err != nil {
			return err
		}
	}
	for _, path := range e.Present {
		if _, ok := at(got.response, path); !ok {
			return fmt.Errorf("%s is absent", path)
		}
	}
	for _, path := range e.Absent {
		if value, ok := at(got.response, path); ok {
			return fmt.Errorf("%s is %v, not absent", path, value)
		}
	}
	return nil
}

func (e *expectation) checkDetails(err error) error {
	violations := []string{}
	others := []any{}
	for i, detail := range status.Convert(err).Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok {
			for _, violation := range bad.GetFieldViolations() {
				violations = append(violations, violation.GetField())
			}
			continue
		}
		value, err := toJSON(status.Convert(err).Proto().GetDetails()[i])
		if err != nil {
			return err
		}
		others = append(others, value)
	}
	if e.Details != nil {
		if err := compare("details", e.Details, others); err != nil {
			return err
		}
	}
	slices.Sort(violations)
	slices.Sort(e.Violations)
	if e.Violations != nil && !slices.Equal(violations, e.Violations) {
		return fmt.Errorf("the violations are %v, not %v", violations, e.Violations)
	}
	return nil
}
