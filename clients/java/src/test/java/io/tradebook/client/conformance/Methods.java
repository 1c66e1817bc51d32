package io.tradebook.client.conformance;

import com.google.protobuf.Descriptors.FileDescriptor;
import com.google.protobuf.Empty;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.protobuf.TypeRegistry;
import com.google.protobuf.util.JsonFormat;
import com.google.rpc.ErrorDetailsProto;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.MethodDescriptor.PrototypeMarshaller;
import io.grpc.ServiceDescriptor;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.protobuf.ProtoFileDescriptorSupplier;
import io.grpc.protobuf.ProtoUtils;
import io.tradebook.v1.AdminServiceGrpc;
import io.tradebook.v1.AnalyticsServiceGrpc;
import io.tradebook.v1.EventServiceGrpc;
import io.tradebook.v1.ModelServiceGrpc;
import io.tradebook.v1.PatternServiceGrpc;
import io.tradebook.v1.RiskServiceGrpc;
import io.tradebook.v1.Rpc;
import io.tradebook.v1.SignalServiceGrpc;
import io.tradebook.v1.TheoryServiceGrpc;
import io.tradebook.v1.TradeServiceGrpc;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The methods of the generated code by name, and their messages as JSON. */
final class Methods {
  private static final List<ServiceDescriptor> SERVICES =
      List.of(
          AdminServiceGrpc.getServiceDescriptor(),
          AnalyticsServiceGrpc.getServiceDescriptor(),
          EventServiceGrpc.getServiceDescriptor(),
          HealthGrpc.getServiceDescriptor(),
          ModelServiceGrpc.getServiceDescriptor(),
          PatternServiceGrpc.getServiceDescriptor(),
          RiskServiceGrpc.getServiceDescriptor(),
          SignalServiceGrpc.getServiceDescriptor(),
          TheoryServiceGrpc.getServiceDescriptor(),
          TradeServiceGrpc.getServiceDescriptor());

  private static final Map<String, MethodDescriptor<Message, Message>> METHODS = new HashMap<>();
  private static final TypeRegistry TYPES = types();

  static {
    SERVICES.forEach(s -> s.getMethods().forEach(m -> METHODS.put(m.getFullMethodName(), cast(m))));
  }

  private Methods() {}

  @SuppressWarnings("unchecked")
  private static MethodDescriptor<Message, Message> cast(MethodDescriptor<?, ?> method) {
    return (MethodDescriptor<Message, Message>) method;
  }

  private static TypeRegistry types() {
    TypeRegistry.Builder types = TypeRegistry.newBuilder();
    for (ServiceDescriptor service : SERVICES) {
      ProtoFileDescriptorSupplier schema =
          (ProtoFileDescriptorSupplier) service.getSchemaDescriptor();
      add(schema.getFileDescriptor(), types);
    }
    add(Rpc.getDescriptor(), types);
    add(ErrorDetailsProto.getDescriptor(), types);
    return types.build();
  }

  private static void add(FileDescriptor file, TypeRegistry.Builder types) {
    file.getMessageTypes().forEach(types::add);
  }

  /** name is "/package.Service/Method"; one that is unknown takes and answers nothing. */
  static MethodDescriptor<Message, Message> find(String name) {
    MethodDescriptor<Message, Message> known = METHODS.get(name.substring(1));
    return known != null ? known : cast(unknown(name.substring(1)));
  }

  private static MethodDescriptor<Empty, Empty> unknown(String name) {
    return MethodDescriptor.<Empty, Empty>newBuilder()
        .setFullMethodName(name)
        .setType(MethodType.UNARY)
        .setRequestMarshaller(ProtoUtils.marshaller(Empty.getDefaultInstance()))
        .setResponseMarshaller(ProtoUtils.marshaller(Empty.getDefaultInstance()))
        .build();
  }

  static Message request(MethodDescriptor<Message, Message> method, String json)
      throws InvalidProtocolBufferException {
    PrototypeMarshaller<Message> marshaller =
        (PrototypeMarshaller<Message>) method.getRequestMarshaller();
    Message.Builder request = marshaller.getMessagePrototype().newBuilderForType();
    JsonFormat.parser().usingTypeRegistry(TYPES).merge(json, request);
    return request.build();
  }

  static String json(Message message) throws InvalidProtocolBufferException {
    return JsonFormat.printer().usingTypeRegistry(TYPES).print(message);
  }
}
