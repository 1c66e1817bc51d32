/*
 * Keeps a number of CreateSignal calls under way on one channel.
 *
 *   grpc_client ADDRESS IN_FLIGHT SECONDS
 *
 * Prints calls a second and the median of the latency in microseconds.
 */
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <vector>

#include "tradebook/v1/signal.grpc.pb.h"

namespace v1 = tradebook::v1;
using Clock = std::chrono::steady_clock;

struct Call {
    std::unique_ptr<grpc::ClientContext> context;
    std::unique_ptr<grpc::ClientAsyncResponseReader<v1::Signal>> reader;
    v1::Signal response;
    grpc::Status status;
    Clock::time_point started;
};

static v1::CreateSignalRequest make_request()
{
    v1::CreateSignalRequest request;
    v1::Signal *signal = request.mutable_signal();
    signal->set_symbol("BTC-USD");
    signal->set_session("london");
    signal->set_direction(v1::DIRECTION_LONG);
    signal->set_tier(v1::TIER_HIGH);
    signal->set_confidence(0.75);
    signal->set_lstm_prediction(0.5);
    signal->set_transformer_prediction(0.5);
    signal->set_rl_prediction(0.5);
    signal->set_ensemble_prediction(0.5);
    signal->set_latency_ms(50.0);
    signal->set_entry_price(50000.0);
    signal->set_tp_price(51000.0);
    signal->set_sl_price(49500.0);
    signal->set_model_version("bench");
    signal->set_strategy("v7_full_math");
    return request;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        std::cerr << "usage: grpc_client ADDRESS IN_FLIGHT SECONDS\n";
        return 2;
    }
    const auto stub = v1::SignalService::NewStub(grpc::CreateChannel(argv[1], grpc::InsecureChannelCredentials()));
    const v1::CreateSignalRequest request = make_request();
    grpc::CompletionQueue queue;
    std::vector<Call> calls(std::strtoul(argv[2], nullptr, 10));
    std::vector<double> latencies;
    const auto begin = [&](Call &call) {
        call.context = std::make_unique<grpc::ClientContext>();
        call.started = Clock::now();
        call.reader = stub->AsyncCreateSignal(call.context.get(), request, &queue);
        call.reader->Finish(&call.response, &call.status, &call);
    };
    const Clock::time_point started = Clock::now();
    const auto until = started + std::chrono::duration<double>(std::strtod(argv[3], nullptr));
    for (Call &call : calls)
        begin(call);
    size_t under_way = calls.size();
    void *tag;
    bool ok;
    while (under_way > 0 && queue.Next(&tag, &ok)) {
        Call &call = *static_cast<Call *>(tag);
        if (!call.status.ok()) {
            std::cerr << "grpc_client: " << call.status.error_message() << "\n";
            return 1;
        }
        const Clock::time_point now = Clock::now();
        latencies.push_back(std::chrono::duration<double, std::micro>(now - call.started).count());
        if (now < until)
            begin(call);
        else
            under_way--;
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - started).count();
    const auto middle = latencies.begin() + static_cast<std::ptrdiff_t>(latencies.size() / 2);
    std::nth_element(latencies.begin(), middle, latencies.end());
    std::cout << static_cast<double>(latencies.size()) / seconds << " " << *middle << "\n";
    return 0;
}
