// rail: see rail.h.
#include "transports/ucx/rail.h"

#include <cstdlib>
#include <cstring>

#include "transports/ucx/sockets.h"

namespace tutti::ucx {
namespace {

// A setting of UCX that Tutti changes, unless one of `variables` is set in the environment.
struct Preference {
  const char* name;
  const char* value;
  const char* variables[4];
  bool of_tcp = false;
};
constexpr const char* kSegments[] = {"UCX_TCP_TX_SEG_SIZE", "UCX_TX_SEG_SIZE", "UCX_TCP_RX_SEG_SIZE", "UCX_RX_SEG_SIZE"};
constexpr Preference kPreferences[] = {
    // Shared memory is the shm transport's work. UCX's would leave files in /dev/shm after a crash.
    {"TLS", "^shm,self", {"UCX_TLS", nullptr}},
    // The kernel tries for minutes to connect to a host that has gone. The other connections must not wait for that.
    {"CONN_NB", "y", {"UCX_TCP_CONN_NB", "UCX_CONN_NB"}, true},
    // With these, a piece of a message (kPieceBytes) is one message of UCX's TCP. UCX refuses RX below TX, so Tutti sets both or none.
    {"TX_SEG_SIZE", "33k", {kSegments[0], kSegments[1], kSegments[2], kSegments[3]}, true},
    {"RX_SEG_SIZE", "132k", {kSegments[0], kSegments[1], kSegments[2], kSegments[3]}, true},
    // The control plane notices a silent host.
    {"KEEPALIVE_INTERVAL", "inf", {"UCX_KEEPALIVE_INTERVAL", nullptr}},
};

// How long a peer that reads nothing may delay the end of a rail.
constexpr double kFullSeconds = 0.1;

// The full name of a setting of UCX's TCP. Since UCX 1.17 it begins with the transport's name.
std::string name_of_tcp(const char* name) {
  unsigned major = 0, minor = 0, release = 0;
  ucp_get_version(&major, &minor, &release);
  return concat(major > 1 || minor >= 17 ? "TCP_" : "", name);
}

bool set_in_environment(const Preference& preference) {
  for (const char* variable : preference.variables)
    if (variable && std::getenv(variable)) return true;
  return false;
}

}  // namespace

Status ucx_failure(const std::string& what, ucs_status_t status) {
  return fail(Code::SystemError, "ucx: ", what, ": ", ucs_status_string(status));
}

// If no port of a range is free, UCX tries them for ever. So UCX gets one port at a time, which was free a moment before.
Result<std::unique_ptr<Rail>> Rail::open(const Nic& nic, const PortChoice& choice, Receiver& receiver) {
  const std::string devices = devices_of(nic);
  std::unique_ptr<Rail> rail;
  TUTTI_TRY(listen_at_some_port(nic, choice, [&](uint16_t port, bool& busy) {
    busy = port != 0 && !port_is_free(nic, port);
    if (busy) return Status();
    rail.reset();
    rail.reset(new Rail(nic, devices, receiver));
    return rail->start(port, busy);
  }));
  return rail;
}

Status Rail::start(uint16_t port, bool& busy) {
  ucp_config_t* config = nullptr;
  if (const ucs_status_t status = ucp_config_read(nullptr, nullptr, &config); status != UCS_OK)
    return ucx_failure("cannot read UCX_* of the environment", status);
  for (const Preference& preference : kPreferences)
    if (!set_in_environment(preference))
      (void)ucp_config_modify(config, (preference.of_tcp ? name_of_tcp(preference.name) : preference.name).c_str(), preference.value);
  if (!devices_.empty()) (void)ucp_config_modify(config, "NET_DEVICES", devices_.c_str());
  if (port != 0) (void)ucp_config_modify(config, name_of_tcp("PORT_RANGE").c_str(), std::to_string(port).c_str());

  ucp_params_t params{};
  params.field_mask = UCP_PARAM_FIELD_FEATURES;
  params.features = UCP_FEATURE_AM | UCP_FEATURE_WAKEUP;
  ucs_status_t status = ucp_init(&params, config, &context_);
  ucp_config_release(config);
  if (status != UCS_OK) {
    context_ = nullptr;
    return ucx_failure(concat("cannot use ", nic_.name), status);
  }

  ucp_worker_params_t worker{};
  worker.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE;
  worker.thread_mode = UCS_THREAD_MODE_SERIALIZED;
  status = ucp_worker_create(context_, &worker, &worker_);
  if (status != UCS_OK) {
    worker_ = nullptr;
    busy = port != 0 && status == UCS_ERR_BUSY;
    return ucx_failure(concat("cannot open ", nic_.name), status);
  }
  if (status = ucp_worker_get_efd(worker_, &event_fd_); status != UCS_OK)
    return ucx_failure(concat("cannot wait for ", nic_.name), status);
  return receive_messages();
}

Status Rail::receive_messages() {
  for (const auto& [id, callback] :
       {std::pair{kMessage, &Rail::on_message}, std::pair{kCredit, &Rail::on_credit}, std::pair{kMarker, &Rail::on_marker}}) {
    ucp_am_handler_param_t handler{};
    handler.field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_CB | UCP_AM_HANDLER_PARAM_FIELD_ARG;
    handler.id = id;
    handler.cb = callback;
    handler.arg = this;
    if (const ucs_status_t status = ucp_worker_set_am_recv_handler(worker_, &handler); status != UCS_OK)
      return ucx_failure(concat("cannot receive by ", nic_.name), status);
  }
  return {};
}

Rail::~Rail() {
  if (event_fd_ >= 0) shut_full_connections(event_fd_, kFullSeconds);
  if (worker_) ucp_worker_destroy(worker_);
  if (context_) ucp_cleanup(context_);
}

Result<std::string> Rail::address() const {
  ucp_address_t* address = nullptr;
  size_t bytes = 0;
  if (const ucs_status_t status = ucp_worker_get_address(worker_, &address, &bytes); status != UCS_OK)
    return ucx_failure(concat("no address of ", nic_.name), status);
  std::string text(reinterpret_cast<const char*>(address), bytes);
  ucp_worker_release_address(worker_, address);
  return text;
}

Result<ucp_ep_h> Rail::connect(const std::string& address, ucp_err_handler_cb_t on_failure, void* arg) {
  ucp_ep_params_t params{};
  params.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE | UCP_EP_PARAM_FIELD_ERR_HANDLER;
  params.address = reinterpret_cast<const ucp_address_t*>(address.data());
  params.err_mode = UCP_ERR_HANDLING_MODE_PEER;
  params.err_handler.cb = on_failure;
  params.err_handler.arg = arg;
  ucp_ep_h endpoint = nullptr;
  if (const ucs_status_t status = ucp_ep_create(worker_, &params, &endpoint); status != UCS_OK)
    return ucx_failure(concat("cannot connect over ", nic_.name), status);
  return endpoint;
}

ucs_status_t Rail::on_message(void* self, const void* header, size_t header_bytes, void* data, size_t bytes,
                              const ucp_am_recv_param_t* param) {
  Header copy;
  if (header_bytes != sizeof copy) return UCS_OK;
  std::memcpy(&copy, header, sizeof copy);
  Rail& rail = *static_cast<Rail*>(self);
  return rail.receiver_.arrive(rail.index_, copy, data, bytes, param->recv_attr);
}

ucs_status_t Rail::on_credit(void* self, const void* header, size_t header_bytes, void*, size_t, const ucp_am_recv_param_t*) {
  Header copy;
  if (header_bytes != sizeof copy) return UCS_OK;
  std::memcpy(&copy, header, sizeof copy);
  static_cast<Rail*>(self)->receiver_.credit(copy);
  return UCS_OK;
}

}  // namespace tutti::ucx
