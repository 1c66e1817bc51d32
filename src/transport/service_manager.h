/*
 * The program that started the server, such as systemd, if it wants to know how
 * the server is: the protocol of sd_notify(3).
 */
#ifndef TBK_TRANSPORT_SERVICE_MANAGER_H
#define TBK_TRANSPORT_SERVICE_MANAGER_H

/* state: "READY=1", "STOPPING=1". Does nothing without the environment variable
 * NOTIFY_SOCKET; a failure is logged. */
void tbk_service_manager_tell(const char *state);

#endif
