/*
 * A signal service as people write it: gRPC's synchronous server, one SQLite connection
 * under a mutex, one transaction a request, as durable as tradebook.
 *
 *   grpc_server ADDRESS DB
 *
 * Prints "ready"; ends when standard input does.
 */
#include <grpcpp/grpcpp.h>
#include <sqlite3.h>

#include <cstdlib>
#include <iostream>
#include <mutex>
#include <string>

#include "signal_row.h"
#include "tradebook/v1/signal.grpc.pb.h"

namespace v1 = tradebook::v1;

class Signals final : public v1::SignalService::Service
{
  public:
    explicit Signals(const char *path)
    {
        if (sqlite3_open(path, &db_) != SQLITE_OK ||
            sqlite3_exec(db_, SIGNAL_ROW_PRAGMAS, nullptr, nullptr, nullptr) != SQLITE_OK ||
            sqlite3_prepare_v2(db_, SIGNAL_ROW_INSERT, -1, &insert_, nullptr) != SQLITE_OK) {
            std::cerr << "grpc_server: " << sqlite3_errmsg(db_) << "\n";
            std::exit(1);
        }
    }

    grpc::Status CreateSignal(grpc::ServerContext *, const v1::CreateSignalRequest *request,
                              v1::Signal *response) override
    {
        const v1::Signal &signal = request->signal();
        const std::lock_guard<std::mutex> lock(mutex_);
        bind_text(1, "2026-01-02 03:04:05.123456");
        bind_text(2, signal.symbol());
        bind_text(3, signal.direction() == v1::DIRECTION_SHORT ? "short" : "long");
        sqlite3_bind_double(insert_, 4, signal.confidence());
        bind_text(5, signal.tier() == v1::TIER_HIGH ? "high" : "low");
        sqlite3_bind_double(insert_, 6, signal.lstm_prediction());
        sqlite3_bind_double(insert_, 7, signal.transformer_prediction());
        sqlite3_bind_double(insert_, 8, signal.rl_prediction());
        sqlite3_bind_double(insert_, 9, signal.ensemble_prediction());
        bind_text(10, signal.session());
        sqlite3_bind_double(insert_, 11, signal.entry_price());
        sqlite3_bind_double(insert_, 12, signal.tp_price());
        sqlite3_bind_double(insert_, 13, signal.sl_price());
        sqlite3_bind_double(insert_, 14, signal.latency_ms());
        bind_text(15, signal.model_version());
        bind_text(16, signal.strategy());
        const int result = sqlite3_step(insert_);
        sqlite3_reset(insert_);
        if (result != SQLITE_DONE)
            return grpc::Status(grpc::StatusCode::INTERNAL, sqlite3_errmsg(db_));
        *response = signal;
        response->set_id(sqlite3_last_insert_rowid(db_));
        return grpc::Status::OK;
    }

  private:
    void bind_text(int column, const std::string &text)
    {
        sqlite3_bind_text(insert_, column, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
    }

    std::mutex mutex_;
    sqlite3 *db_ = nullptr;
    sqlite3_stmt *insert_ = nullptr;
};

int main(int argc, char **argv)
{
    if (argc != 3) {
        std::cerr << "usage: grpc_server ADDRESS DB\n";
        return 2;
    }
    Signals signals(argv[2]);
    grpc::ServerBuilder builder;
    builder.AddListeningPort(argv[1], grpc::InsecureServerCredentials());
    builder.RegisterService(&signals);
    const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
    if (server == nullptr)
        return 1;
    std::cout << "ready" << std::endl;
    while (std::cin.get() != std::istream::traits_type::eof()) {
    }
    server->Shutdown();
    return 0;
}
