#include "server.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"

enum { ARGUMENTS_MAX = 16 };

static void spawn(struct server *server, const json_t *options, int input, int output)
{
    const char *arguments[ARGUMENTS_MAX + 2] = {"./server"};
    assert_true(json_array_size(options) <= ARGUMENTS_MAX);
    for (size_t i = 0; i < json_array_size(options); i++) {
        arguments[i + 1] = json_string_value(json_array_get(options, i));
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    assert_int_equal(posix_spawn(&server->pid, arguments[0], &actions, NULL, (char **)arguments, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
}

static json_t *read_line(struct server *server)
{
    char *line = NULL;
    size_t bytes = 0;
    if (getline(&line, &bytes, server->answers) < 0) {
        fail_msg("the server has ended");
    }
    json_t *json = json_loads(line, 0, NULL);
    free(line);
    assert_non_null(json);
    return json;
}

void server_start(struct server *server, const json_t *options)
{
    int input[2];
    int output[2];
    assert_int_equal(pipe2(input, O_CLOEXEC), 0);
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    spawn(server, options, input[0], output[1]);
    close(input[0]);
    close(output[1]);
    server->commands = fdopen(input[1], "w");
    server->answers = fdopen(output[0], "r");
    server->addresses = read_line(server);
}

json_t *server_do(struct server *server, const json_t *command)
{
    json_dumpf(command, server->commands, JSON_COMPACT);
    fputc('\n', server->commands);
    fflush(server->commands);
    return read_line(server);
}

int server_end(struct server *server)
{
    if (server->commands == NULL) {
        return 0;
    }
    fclose(server->commands);
    int status = 0;
    waitpid(server->pid, &status, 0);
    fclose(server->answers);
    json_decref(server->addresses);
    server->commands = NULL;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
