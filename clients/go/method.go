package tradebook

import (
	"strings"
	"sync"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// readOnly remembers for each method that is known here whether it is declared to
// have no side effects.
var readOnly sync.Map

// isReadOnly says whether a method, "/package.Service/Method", is declared to have no
// side effects. One that is not known here may have some.
func isReadOnly(method string) bool {
	if known, ok := readOnly.Load(method); ok {
		return known.(bool)
	}
	name := protoreflect.FullName(strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", "."))
	descriptor, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		return false
	}
	options, ok := descriptor.Options().(*descriptorpb.MethodOptions)
	is := ok && options.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
	readOnly.Store(method, is)
	return is
}
