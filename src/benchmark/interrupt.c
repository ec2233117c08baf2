/* See interrupt.h. */
#include "benchmark/interrupt.h"

#include <signal.h>

static volatile sig_atomic_t came;

static void on_signal(int signal) {
    came = signal;
}

void interrupt_install(void) {
    struct sigaction raise_flag = {.sa_handler = on_signal}; /* no SA_RESTART: waits must end */
    sigaction(SIGINT, &raise_flag, NULL);
    sigaction(SIGTERM, &raise_flag, NULL);
    signal(SIGPIPE, SIG_IGN);
}

void interrupt_reset(void) {
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
}

int interrupt_check(struct error *e) {
    return came ? error_set(e, ERROR_ERR, "interrupted") : 0;
}
