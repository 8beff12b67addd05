// sockets: keeps UCX from waiting for a host that has gone when it destroys a worker.
//
// UCX then sends a last message through each TCP connection. While the connection's send buffer is full, UCX tries again and again
// (ucs_socket_send(), in UCX 1.13 to 1.22). If the peer's host cannot be reached, that lasts until the kernel gives the connection up: a
// quarter of an hour.
#pragma once

namespace tutti::ucx {

// Shuts down the TCP connections whose send buffers stay full for `patience_s`. A send through one of them then fails at once.
// `epoll_fd` is the epoll set that the connections are in, directly or through another epoll set. Without /proc none is found.
void shut_full_connections(int epoll_fd, double patience_s) noexcept;

}  // namespace tutti::ucx
