/* The library's own list of methods against the compiled protocol files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "google/protobuf/descriptor.pb-c.h"
#include "tradebook/client.h"

static Google__Protobuf__FileDescriptorSet *read_descriptor_set(void)
{
    FILE *file = fopen(TRADEBOOK_DESCRIPTOR_SET, "rb");
    assert_non_null(file);
    static uint8_t bytes[1024 * 1024];
    size_t length = fread(bytes, 1, sizeof bytes, file);
    assert_in_range(length, 1, sizeof bytes - 1);
    fclose(file);
    Google__Protobuf__FileDescriptorSet *set = google__protobuf__file_descriptor_set__unpack(NULL, length, bytes);
    assert_non_null(set);
    return set;
}

static void assert_service_known(const char *package, const Google__Protobuf__ServiceDescriptorProto *service)
{
    for (size_t m = 0; m < service->n_method; m++) {
        char name[256];
        snprintf(name, sizeof name, "/%s.%s/%s", package, service->name, service->method[m]->name);
        const ProtobufCMethodDescriptor *method = tradebook_method(name);
        if (method == NULL) {
            fail_msg("%s is missing; add its service to clients/c/src/method.c", name);
            return;
        }
        assert_string_equal(method->name, service->method[m]->name);
        assert_string_equal(method->input->name, service->method[m]->input_type + 1);
        assert_string_equal(method->output->name, service->method[m]->output_type + 1);
    }
}

static void test_method_of_every_service_is_known(void **state)
{
    (void)state;
    Google__Protobuf__FileDescriptorSet *set = read_descriptor_set();
    size_t services = 0;
    for (size_t f = 0; f < set->n_file; f++) {
        for (size_t s = 0; s < set->file[f]->n_service; s++) {
            assert_service_known(set->file[f]->package, set->file[f]->service[s]);
            services++;
        }
    }
    assert_true(services > 5);
    google__protobuf__file_descriptor_set__free_unpacked(set, NULL);
}

static void test_method_unknown_name_is_null(void **state)
{
    (void)state;
    assert_null(tradebook_method(""));
    assert_null(tradebook_method("tradebook.v1.SignalService/GetSignal"));
    assert_null(tradebook_method("/tradebook.v1.SignalService/GetSignal "));
}

static void test_code_name_of_every_code_is_that_of_grpc(void **state)
{
    (void)state;
    assert_string_equal(tradebook_code_name(TRADEBOOK_OK), "OK");
    assert_string_equal(tradebook_code_name(TRADEBOOK_UNAUTHENTICATED), "UNAUTHENTICATED");
    assert_string_equal(tradebook_code_name((enum tradebook_code)17), "UNKNOWN");
    assert_string_equal(tradebook_code_name((enum tradebook_code) - 1), "UNKNOWN");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_method_of_every_service_is_known),
        cmocka_unit_test(test_method_unknown_name_is_null),
        cmocka_unit_test(test_code_name_of_every_code_is_that_of_grpc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
