#include "cli/address.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define IPC_SCHEME "ipc://"

void tbk_default_ipc_url(char out[TBK_ADDRESS_BYTES_MAX])
{
    unsigned uid = (unsigned)getuid();
    char directory[64];
    struct stat status;
    snprintf(directory, sizeof directory, "/run/user/%u", uid);
    if (stat(directory, &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == getuid())
        snprintf(out, TBK_ADDRESS_BYTES_MAX, IPC_SCHEME "%s/tradebook.sock", directory);
    else
        snprintf(out, TBK_ADDRESS_BYTES_MAX, IPC_SCHEME "/tmp/tradebook-%u.sock", uid);
}

/* A socket of somebody else under /tmp is not to be trusted. */
static bool is_own_socket(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0 && S_ISSOCK(status.st_mode) && status.st_uid == getuid();
}

const char *tbk_client_address(const char *given, char buffer[TBK_ADDRESS_BYTES_MAX])
{
    if (given != NULL)
        return given;
    const char *environment = getenv("TRADEBOOK_ADDRESS");
    if (environment != NULL && environment[0] != '\0')
        return environment;
    tbk_default_ipc_url(buffer);
    return is_own_socket(buffer + strlen(IPC_SCHEME)) ? buffer : TBK_DEFAULT_TCP_URL;
}
