#include "cmocka_all.h"

#include <string.h>

#include "transport/frame.h"

static void test_frame_head_written_reads_back(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {0, 1, 255, 256, UINT32_MAX, UINT64_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        for (int ipc = 0; ipc < 2; ipc++) {
            uint8_t head[TBK_FRAME_HEAD_BYTES_MAX];
            uint64_t length = 7;
            tbk_frame_head_write(ipc, lengths[i], head);
            assert_true(tbk_frame_head_read(ipc, head, &length));
            assert_int_equal(length, lengths[i]);
        }
    }
}

static void test_frame_head_of_258_is_big_endian_and_marked_on_ipc(void **state)
{
    (void)state;
    static const uint8_t expected[] = {1, 0, 0, 0, 0, 0, 0, 1, 2};
    uint8_t head[TBK_FRAME_HEAD_BYTES_MAX];
    assert_int_equal(tbk_frame_head_bytes(true), 9);
    tbk_frame_head_write(true, 258, head);
    assert_memory_equal(head, expected, 9);
    assert_int_equal(tbk_frame_head_bytes(false), 8);
    tbk_frame_head_write(false, 258, head);
    assert_memory_equal(head, expected + 1, 8);
}

static void test_frame_head_without_mark_on_ipc_is_refused(void **state)
{
    (void)state;
    static const uint8_t head[] = {2, 0, 0, 0, 0, 0, 0, 0, 4};
    uint64_t length = 7;
    assert_false(tbk_frame_head_read(true, head, &length));
    assert_int_equal(length, 7);
}

static void test_handshake_of_its_protocol_only_is_accepted(void **state)
{
    (void)state;
    static const enum tbk_sp_protocol protocols[] = {TBK_SP_PUB, TBK_SP_SUB, TBK_SP_REQ, TBK_SP_REP};
    for (size_t p = 0; p < sizeof protocols / sizeof protocols[0]; p++) {
        const uint8_t expected[TBK_HANDSHAKE_BYTES] = {0, 'S', 'P', 0, 0, (uint8_t)protocols[p], 0, 0};
        uint8_t bytes[TBK_HANDSHAKE_BYTES];
        tbk_handshake_write(protocols[p], bytes);
        assert_memory_equal(bytes, expected, sizeof bytes);
        assert_true(tbk_is_handshake(protocols[p], bytes));
        for (size_t i = 0; i < sizeof bytes; i++) {
            bytes[i] ^= 1;
            assert_false(tbk_is_handshake(protocols[p], bytes));
            bytes[i] ^= 1;
        }
    }
}

static void test_shared_frame_is_the_same_without_mark_on_tcp(void **state)
{
    (void)state;
    static const uint8_t expected[] = {1, 0, 0, 0, 0, 0, 0, 0, 2, 'h', 'i'};
    struct tbk_shared_frame *frame = tbk_shared_frame_create((const uint8_t *)"hi", 2);
    size_t length = 0;
    assert_memory_equal(tbk_shared_frame_bytes(frame, true, &length), expected, sizeof expected);
    assert_int_equal(length, sizeof expected);
    assert_memory_equal(tbk_shared_frame_bytes(frame, false, &length), expected + 1, sizeof expected - 1);
    assert_int_equal(length, sizeof expected - 1);
    tbk_shared_frame_hold(frame);
    tbk_shared_frame_release(frame);
    tbk_shared_frame_release(frame);
    tbk_shared_frame_release(NULL);
}

static void test_backtrace_ends_with_the_word_that_has_the_high_bit(void **state)
{
    (void)state;
    uint8_t payload[64] = {0};
    assert_int_equal(tbk_backtrace_bytes(payload, 0), 0);
    assert_int_equal(tbk_backtrace_bytes(payload, sizeof payload), 0);
    payload[0] = 0x80;
    assert_int_equal(tbk_backtrace_bytes(payload, 3), 0);
    assert_int_equal(tbk_backtrace_bytes(payload, 4), 4);
    assert_int_equal(tbk_backtrace_bytes(payload, sizeof payload), 4);
    payload[0] = 0;
    payload[28] = 0x80;
    assert_int_equal(tbk_backtrace_bytes(payload, 31), 0);
    assert_int_equal(tbk_backtrace_bytes(payload, 32), 32);
    payload[28] = 0;
    payload[32] = 0x80;
    assert_int_equal(tbk_backtrace_bytes(payload, sizeof payload), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frame_head_written_reads_back),
        cmocka_unit_test(test_frame_head_of_258_is_big_endian_and_marked_on_ipc),
        cmocka_unit_test(test_frame_head_without_mark_on_ipc_is_refused),
        cmocka_unit_test(test_handshake_of_its_protocol_only_is_accepted),
        cmocka_unit_test(test_shared_frame_is_the_same_without_mark_on_tcp),
        cmocka_unit_test(test_backtrace_ends_with_the_word_that_has_the_high_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
