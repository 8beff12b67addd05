// sockets: keeps UCX from waiting for a host that has gone when it destroys a worker.
//
// UCX then sends a last message through each TCP connection, and tries again for as long as the connection's send buffer is full
// (ucs_socket_send(), in UCX 1.13 to 1.22). To a host that cannot be reached that is until the kernel gives the connection up,
// which takes it a quarter of an hour.
#pragma once

namespace tutti::ucx {

// Shuts down the TCP connections whose send buffers stay full for `patience_s`: to send through one is then an error at once.
// `epoll_fd`: the epoll set that they are in, themselves or through another epoll set. Without /proc they are not found.
void shut_full_connections(int epoll_fd, double patience_s) noexcept;

}  // namespace tutti::ucx
