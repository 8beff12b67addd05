// rail: one NIC as UCX sees it: a UCP context and a worker of its own.
//
// progress() passes what arrives to a Receiver. UCX_* of the environment applies. Tutti changes some defaults of UCX (kPreferences in
// rail.cc), but no setting of the environment.
#pragma once
#include <ucp/api/ucp.h>

#include <memory>
#include <string>

#include "lib/base/status.h"
#include "transports/ucx/environment.h"

namespace tutti::ucx {

// In front of every piece of a message.
struct Header {
  uint64_t signature;
  uint32_t number;   // of the message; in a credit: all before it have been released
  uint32_t token;    // the receiver's; a message without it is not of this communicator
  uint32_t bytes;    // of the whole message
  uint32_t offset;   // of this piece in it
  uint16_t rank;     // the sender's
  uint8_t channel;
  uint8_t final;     // in a credit: 1 if its sender leaves and this is the last
  uint32_t call;     // as in a Wire
};
static_assert(sizeof(Header) == 32);

enum MessageId : unsigned { kMessage = 0, kCredit = 1, kMarker = 2 };  // kMarker has no content; see Link

class Receiver {  // UCX, which is C, calls it: no exception may leave it
 public:
  // As ucp_am_recv_callback_t: UCS_INPROGRESS keeps `data`.
  virtual ucs_status_t arrive(uint32_t rail, const Header& header, void* data, size_t bytes, uint64_t attributes) noexcept = 0;
  virtual void credit(const Header& header) noexcept = 0;

 protected:
  ~Receiver() = default;
};

class Rail {
 public:
  // UCX listens at one of `ports`. The receiver outlives the rail.
  static Result<std::unique_ptr<Rail>> open(const Nic& nic, const PortChoice& ports, Receiver& receiver);
  ~Rail();
  Rail(const Rail&) = delete;
  Rail& operator=(const Rail&) = delete;

  // The number that the receiver gets as `rail`.
  void set_index(uint32_t index) { index_ = index; }
  const Nic& nic() const { return nic_; }
  // UCX has no RDMA port for it, such as mlx5_0:1, and so sends over TCP.
  bool plain() const { return nic_.name.find(':') == std::string::npos && devices_.find(':') == std::string::npos; }
  ucp_worker_h worker() const { return worker_; }
  int event_fd() const { return event_fd_; }
  Result<std::string> address() const;
  // on_failure(arg, ep, status) is called, from within progress(), when the peer cannot be reached any more.
  Result<ucp_ep_h> connect(const std::string& address, ucp_err_handler_cb_t on_failure, void* arg);
  // True if anything happened.
  bool progress() { return ucp_worker_progress(worker_) != 0; }

 private:
  Rail(const Nic& nic, const std::string& devices, Receiver& receiver) : nic_(nic), devices_(devices), receiver_(receiver) {}
  // Listens at `port`; 0: any. Sets `busy` if the only problem is that the port is taken.
  Status start(uint16_t port, bool& busy);
  Status receive_messages();
  static ucs_status_t on_message(void* self, const void* header, size_t header_bytes, void* data, size_t bytes,
                                 const ucp_am_recv_param_t* param);
  static ucs_status_t on_credit(void* self, const void* header, size_t header_bytes, void* data, size_t bytes,
                                const ucp_am_recv_param_t* param);
  static ucs_status_t on_marker(void*, const void*, size_t, void*, size_t, const ucp_am_recv_param_t*) { return UCS_OK; }

  const Nic nic_;
  const std::string devices_;  // as UCX_NET_DEVICES lists them; "": UCX reads that itself
  Receiver& receiver_;
  uint32_t index_ = 0;
  ucp_context_h context_ = nullptr;
  ucp_worker_h worker_ = nullptr;
  int event_fd_ = -1;
};

// "UCX cannot do this: the reason".
Status ucx_failure(const std::string& what, ucs_status_t status);

}  // namespace tutti::ucx
