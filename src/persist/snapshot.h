#ifndef SN
#define SN
#include "persist/disk.h"
#include "store/load.h"
struct snapshot;
struct snapshot_options { int64_t now_ms; uint64_t lsn; void (*progress)(void *, uint64_t, uint64_t); void *context; };
static inline int snapshot_write(struct disk *d, const char *p, const struct store *s, const struct snapshot_options *o, struct error *e) {(void)d,(void)p,(void)s,(void)o; return error_set(e, ERROR_ERR, "stub");}
static inline int snapshot_open(struct disk *d, const char *p, struct snapshot **o, struct error *e){(void)d,(void)p,(void)o; return error_set(e, ERROR_ERR, "stub");}
static inline int snapshot_load_step(struct snapshot *d, struct load *l, uint64_t n, bool *done, struct error *e){(void)d,(void)l,(void)n,(void)done; return error_set(e, ERROR_ERR, "stub");}
static inline uint64_t snapshot_done(struct snapshot *s){(void)s;return 0;}
static inline uint64_t snapshot_total(struct snapshot *s){(void)s;return 0;}
static inline void snapshot_close(struct snapshot *s){(void)s;}
#endif
