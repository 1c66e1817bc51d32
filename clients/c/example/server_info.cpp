// Asks a server what it is: the client from C++.
//
//   server_info [ADDRESS]
#include <cstdio>
#include <memory>
#include <tradebook/client.h>

#include "tradebook/v1/admin.pb-c.h"

using Client = std::unique_ptr<tradebook_client, decltype(&tradebook_client_close)>;
using Message = std::unique_ptr<ProtobufCMessage, decltype(&tradebook_message_free)>;

int main(int argc, char **argv)
{
    tradebook_error error;
    tradebook_client *opened = nullptr;
    if (tradebook_client_open(argc > 1 ? argv[1] : "tcp://127.0.0.1:7601", nullptr, &opened, &error) !=
        TRADEBOOK_OK) {
        std::fprintf(stderr, "%s: %s\n", tradebook_code_name(error.code), error.message);
        return 1;
    }
    Client client(opened, tradebook_client_close);

    Tradebook__V1__GetServerInfoRequest request = TRADEBOOK__V1__GET_SERVER_INFO_REQUEST__INIT;
    ProtobufCMessage *received = nullptr;
    if (tradebook_call(client.get(), "/tradebook.v1.AdminService/GetServerInfo", &request.base, nullptr, &received,
                       &error) != TRADEBOOK_OK) {
        std::fprintf(stderr, "%s: %s\n", tradebook_code_name(error.code), error.message);
        return 1;
    }
    Message reply(received, tradebook_message_free);
    const auto *info = reinterpret_cast<const Tradebook__V1__ServerInfo *>(reply.get());
    std::printf("tradebook %s serves %s\n", info->version, info->database);
    return 0;
}
