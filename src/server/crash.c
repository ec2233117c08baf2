/* See crash.h. */
#include "server/crash.h"

#include <execinfo.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "server/client.h"
#include "server/command.h"
#include "server/server.h"

enum { CRASH_FRAMES = 64, CRASH_STACK = 64 * 1024, CRASH_ARGS = 4, CRASH_ARG_BYTES = 64 };

static const int crash_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
enum { CRASH_SIGNALS = sizeof(crash_signals) / sizeof(*crash_signals) };

static struct sigaction former[CRASH_SIGNALS];
static char crash_stack[CRASH_STACK];
static const struct server *crash_server;

static void put(const char *text, size_t len) {
    if (write(log_descriptor(), text, len) < 0) return; /* nowhere left to report it */
}

static void put_text(const char *text) {
    put(text, strlen(text));
}

static void put_number(unsigned long long number, unsigned base) {
    char digits[24];
    size_t at = sizeof(digits);
    do {
        digits[--at] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number);
    put(digits + at, sizeof(digits) - at);
}

static void put_argument(const struct resp_arg *arg) {
    char shown[CRASH_ARG_BYTES];
    size_t len = arg->bytes.ptr ? arg->bytes.len : 0;
    if (len > sizeof(shown)) len = sizeof(shown);
    for (size_t i = 0; i < len; i++) {
        char byte = arg->bytes.ptr[i];
        shown[i] = byte >= 0x20 && byte < 0x7f ? byte : '.';
    }
    put_text(" '");
    put(shown, len);
    put_text(len < arg->bytes.len ? "…'" : "'");
}

static void put_current(const struct client *c) {
    put_text("  serving client ");
    put_number(c->id, 10);
    put_text(" at ");
    put_text(c->address);
    put_text(" name '");
    put_text(c->name);
    put_text("'\n  command");
    if (c->container) {
        put_text(" ");
        put_text(c->container->name);
    }
    put_text(" ");
    put_text(c->command ? c->command->name : "?");
    put_text(" of ");
    put_number(c->argc, 10);
    put_text(" arguments:");
    for (size_t i = 0; i < c->argc && i < CRASH_ARGS && c->argv; i++) put_argument(&c->argv[i]);
    put_text("\n");
}

static const char *signal_name(int signal) {
    switch (signal) {
    case SIGSEGV: return "SIGSEGV";
    case SIGBUS: return "SIGBUS";
    case SIGFPE: return "SIGFPE";
    case SIGILL: return "SIGILL";
    default: return "SIGABRT";
    }
}

static void on_crash(int signal, siginfo_t *info, void *context) {
    (void)context;
    for (size_t i = 0; i < CRASH_SIGNALS; i++)
        if (crash_signals[i] == signal) sigaction(signal, &former[i], NULL);
    put_text("\n=== tq " PACKAGE_VERSION " crashed by ");
    put_text(signal_name(signal));
    if (info->si_code > 0) {
        put_text(" at address 0x");
        put_number((unsigned long long)(uintptr_t)info->si_addr, 16);
    }
    put_text(" ===\n");
    void *frames[CRASH_FRAMES];
    int n = backtrace(frames, CRASH_FRAMES);
    put_text("  backtrace:\n");
    backtrace_symbols_fd(frames, n, log_descriptor());
    if (crash_server && crash_server->current)
        put_current(crash_server->current);
    else
        put_text("  no command was running\n");
    put_text("=== end of the report; addr2line -e tq-server OFFSET tells lines ===\n");
    /* A fault of the program itself strikes again as soon as this returns; a signal that was sent
     * has to be sent again. */
    if (info->si_code <= 0) raise(signal);
}

void crash_init(const struct server *s) {
    crash_server = s;
    void *frame[1];
    backtrace(frame, 1); /* loads what it needs now: later it may not allocate */
    stack_t stack = {.ss_sp = crash_stack, .ss_size = sizeof(crash_stack)};
    sigaltstack(&stack, NULL);
    struct sigaction action = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < CRASH_SIGNALS; i++) sigaction(crash_signals[i], &action, &former[i]);
}
