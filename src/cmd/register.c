/* The one list of command families. */
#include "cmd/cmd.h"

void cmd_register_all(void) {
    cmd_connection_register();
    cmd_client_register();
    cmd_command_register();
    cmd_introspection_register();
    cmd_keyspace_register();
    cmd_pubsub_register();
    cmd_transaction_register();
    cmd_shutdown_register();
    cmd_put_register();
    cmd_mput_register();
    cmd_mget_register();
    cmd_define_register();
    cmd_lease_register();
    cmd_list_register();
    cmd_sample_register();
    cmd_save_register();
    cmd_checkpoint_register();
    cmd_clear_register();
    cmd_partition_register();
}
