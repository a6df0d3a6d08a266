/* The command of a run, from its configuration to its end, with a guest that is played by hand. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/loop.h"
#include "devices/core/util.h"
#include "hv/command/command.h"
#include "hv/config.h"
#include "hv/test/fake_guest.h"
#include "hv/test/run_suite.h"

static struct vm_config config;
static struct command *command;
static struct world w; /* only its loop and its port */
static struct outcome ended;
static int out;
static char runtime[64], logged[1024];

static void keep_log(void *opaque, enum log_level level, const char *line)
{
    (void)opaque;
    (void)level;
    snprintf(logged, sizeof(logged), "%s", line);
}

static void host_end(void *opaque, const struct outcome *outcome)
{
    (void)opaque;
    ended = *outcome;
    loop_stop(w.loop);
}

static void host_key(void *opaque, enum console_key key)
{
    (void)opaque;
    (void)key;
}

static void configure(const char *name)
{
    static char *words[] = {"true"};
    char *argv[] = {"run", "-k", "/dev/null", "--name", (char *)name};

    ck_assert_int_eq(config_parse_run(&config, ARRAY_SIZE(argv), argv), 0);
    config.command = words;
    config.command_count = 1;
    config.command_size = sizeof("true");
}

/* Standard input is empty, standard output a pipe of ours. */
static void begin(void)
{
    const struct command_host host = {host_end, host_key, NULL};
    int fds[2], null = open("/dev/null", O_RDWR);
    const char *port;

    log_set_sink(keep_log, NULL);
    signal(SIGPIPE, SIG_IGN);
    snprintf(runtime, sizeof(runtime), "/tmp/hv-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(runtime));
    setenv("XDG_RUNTIME_DIR", runtime, 1);
    ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
    fflush(stdout);
    dup2(null, STDIN_FILENO);
    dup2(fds[1], STDOUT_FILENO);
    close(fds[1]);
    close(null);
    out = fds[0];
    fcntl(out, F_SETFL, O_NONBLOCK);

    config_init(&config);
    configure("box");
    ck_assert_int_eq(command_create(&config, &command), 0);
    ck_assert_uint_eq(config.virtio_console_count, 1);
    port = strstr(config.virtio_console[0], "port=hv.agent:fd:");
    ck_assert_ptr_nonnull(port);
    w.port = dup(atoi(port + strlen("port=hv.agent:fd:"))); /* as the console does */
    w.loop = loop_create();
    ck_assert_int_eq(command_attach(command, w.loop, &host), 0);
}

static void end(void)
{
    char path[100];

    command_detach(command);
    close(w.port);
    loop_destroy(w.loop);
    command_destroy(command);
    config.command = NULL;
    config.command_count = 0;
    config_free(&config);
    snprintf(path, sizeof(path), "%s/hv", runtime);
    ck_assert_int_eq(rmdir(path), 0); /* the guest's own directory is gone */
    rmdir(runtime);
    close(out);
}

static struct outcome told(void)
{
    struct outcome outcome = {.end = END_POWEROFF};

    command_tell(command, &outcome);
    return outcome;
}

START_TEST(status_and_output_reach_the_run)
{
    char text[16] = "";
    struct outcome outcome;

    begin();
    guest_ready(&w);
    ck_assert(guest_wait(&w, WIRE_EOF));
    guest_data(&w, WIRE_MAIN, 1, "hello");
    guest_exit(&w, WIRE_MAIN, WIRE_EXITED, 4);
    ck_assert_int_eq(read(out, text, sizeof(text)), 5);
    ck_assert_str_eq(text, "hello");
    command_finish(command, true);
    outcome = told();
    ck_assert_int_eq(outcome_status(&outcome), 4);
    end();
}
END_TEST

START_TEST(what_is_on_its_way_when_the_guest_ends_still_comes)
{
    char text[16] = "";
    uint8_t status[5] = {WIRE_EXITED, 6};
    struct outcome outcome;

    begin();
    guest_ready(&w);
    ck_assert(guest_wait(&w, WIRE_EOF));
    frame_put(w.port, WIRE_MAIN, WIRE_DATA, 1, "last", 4);
    frame_put(w.port, WIRE_MAIN, WIRE_EXIT, 0, status, sizeof(status));
    command_finish(command, true);
    ck_assert_int_eq(read(out, text, sizeof(text)), 4);
    ck_assert_str_eq(text, "last");
    outcome = told();
    ck_assert_int_eq(outcome_status(&outcome), 6);
    end();
}
END_TEST

START_TEST(guest_that_ends_early_owes_its_status)
{
    char text[16] = "";
    struct outcome outcome;

    begin();
    guest_ready(&w);
    ck_assert(guest_wait(&w, WIRE_EOF));
    guest_data(&w, WIRE_MAIN, 1, "some");
    command_finish(command, true);
    ck_assert_int_eq(read(out, text, sizeof(text)), 4);
    outcome = told();
    ck_assert_int_eq(outcome.command.how, COMMAND_NO_STATUS);
    ck_assert(outcome.command_ran);
    ck_assert_int_eq(outcome_status(&outcome), 255);
    end();
}
END_TEST

START_TEST(first_signal_is_the_commands_and_the_second_the_runs)
{
    begin();
    ck_assert(!command_signal(command, SIGTERM)); /* nothing runs yet */
    guest_ready(&w);
    ck_assert(command_signal(command, SIGINT));
    ck_assert(guest_wait(&w, WIRE_SIGNAL));
    ck_assert_uint_eq(load_le32(w.got.payload), SIGINT);
    ck_assert(!command_signal(command, SIGINT));
    command_finish(command, false);
    ck_assert(!command_signal(NULL, SIGINT));
    end();
}
END_TEST

START_TEST(guest_that_breaks_the_frames_ends_the_run)
{
    static const uint8_t bad[WIRE_HEADER] = {1, 0, 0, 0, 99};
    struct outcome outcome;

    begin();
    guest_ready(&w);
    ck_assert_int_eq(write(w.port, bad, sizeof(bad)), sizeof(bad));
    world_settle(&w);
    ck_assert_int_eq(ended.end, END_POWEROFF);
    command_finish(command, true);
    outcome = told();
    ck_assert_int_eq(outcome_status(&outcome), 255);
    end();
}
END_TEST

START_TEST(name_of_a_guest_that_runs_is_refused)
{
    struct command *second;
    struct vm_config other = config;

    begin();
    other = config;
    ck_assert_int_eq(command_create(&other, &second), -EADDRINUSE);
    ck_assert_ptr_null(second);
    ck_assert_str_eq(logged, "--name box: a guest of that name is running");
    end();
}
END_TEST

START_TEST(no_command_is_nothing)
{
    struct vm_config none;
    struct command *nothing;
    struct outcome outcome = {.end = END_POWEROFF};

    config_init(&none);
    ck_assert_int_eq(command_create(&none, &nothing), 0);
    ck_assert_ptr_null(nothing);
    ck_assert_int_eq(command_attach(nothing, NULL, NULL), 0);
    command_finish(nothing, true);
    command_tell(nothing, &outcome);
    ck_assert_int_eq(outcome_status(&outcome), 0);
    command_detach(nothing);
    command_destroy(nothing);
    config_free(&none);
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(status_and_output_reach_the_run),
        CASE(what_is_on_its_way_when_the_guest_ends_still_comes),
        CASE(guest_that_ends_early_owes_its_status),
        CASE(first_signal_is_the_commands_and_the_second_the_runs),
        CASE(guest_that_breaks_the_frames_ends_the_run),
        CASE(name_of_a_guest_that_runs_is_refused),
        CASE(no_command_is_nothing),
    };

    return run_suite("command run", cases, ARRAY_SIZE(cases));
}
