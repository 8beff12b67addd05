// join: how a communicator comes up, and how it is split.
//
// All ranks meet (boot), tell each other their version, settings and transport addresses, connect the transports that every
// rank has, and then tell each other how that went: they all succeed or they all fail with the same sentence.
#include <algorithm>
#include <cstring>
#include <random>

#include "include/tutti/tutti.h"
#include "lib/base/log.h"
#include "lib/comm/comm.h"
#include "lib/topo/machine.h"
#include "lib/transport/faulty.h"

namespace tutti {
namespace {

constexpr int kMaxTilesInFlight = 16;

// Fields one after the other, each with its length in front.
void append(std::string& to, const std::string& field) {
  const uint32_t length = static_cast<uint32_t>(field.size());
  to.append(reinterpret_cast<const char*>(&length), sizeof length);
  to += field;
}

std::vector<std::string> fields_of(const std::string& from) {
  std::vector<std::string> fields;
  for (size_t at = 0; at + sizeof(uint32_t) <= from.size();) {
    uint32_t length;
    std::memcpy(&length, from.data() + at, sizeof length);
    at += sizeof length;
    if (length > from.size() - at) break;
    fields.push_back(from.substr(at, length));
    at += length;
  }
  return fields;
}

// "a,b" -> whether `name` is among them; an empty list allows all.
bool allowed(const std::string& list, const std::string& name) {
  if (list.empty()) return true;
  std::istringstream words(list);
  for (std::string word; std::getline(words, word, ',');)
    if (word == name) return true;
  return false;
}

Status check_transport_names(const std::string& list) {
  std::istringstream words(list);
  for (std::string word; std::getline(words, word, ',');) {
    const auto kinds = all_transports();
    if (std::any_of(kinds.begin(), kinds.end(), [&](const TransportKind& kind) { return word == kind.name; })) continue;
    std::string known;
    for (const TransportKind& kind : kinds) known += concat(known.empty() ? "" : ", ", kind.name);
    return fail(Code::InvalidArgument, "TUTTI_TRANSPORTS: there is no transport '", word, "'; known: ", known);
  }
  return {};
}

}  // namespace

Status Comm::check(const Settings& settings) {
  TUTTI_TRY(check_transport_names(settings.text(Setting::Transports)));
  TUTTI_TRY(ForcedAlgorithms::parse(settings.text(Setting::Algo)).status());
  return check_faults(settings.text(Setting::Fault));
}

Status Comm::connect() {
  if (options_.alone_by_id) retire_unique_id(settings_, options_.id);
  tile_bytes_ = settings_.number(Setting::Tile);
  cache_bytes_ = last_cache_bytes();
  window_ = static_cast<uint32_t>(std::clamp<uint64_t>(settings_.number(Setting::TilesInFlight), 1, kMaxTilesInFlight));
  Result<ForcedAlgorithms> forced = ForcedAlgorithms::parse(settings_.text(Setting::Algo));
  if (!forced.ok()) return forced.status();

  TUTTI_TRY(set_topology());
  routes_.resize(ranks());
  lanes_.resize(static_cast<size_t>(ranks()) * kLanes);
  const Deadline deadline = Deadline::after_s(settings_.seconds(Setting::InitTimeout));
  if (ranks() > 1) {
    Result<std::unique_ptr<Control>> control =
        Control::join(settings_, options_.id, rank(), ranks(),
                      {[this](const Cause& cause) { on_abort(cause); }, [this] { return activity(); }}, cancel_);
    if (!control.ok()) return control.status();
    std::lock_guard lock(mutex_);  // abort() may look for it
    control_ = std::move(control.value());
    if (!failure_.ok()) return failure_;
  }

  // A single rank needs a transport, too: it may send to itself.
  std::vector<std::string> addresses;
  const Status opened = open_transports(addresses);
  std::string blob;
  append(blob, concat(TUTTI_VERSION_CODE, "|", settings_.text(Setting::Algo), "|", tile_bytes_, "|", settings_.text(Setting::Topo)));
  append(blob, opened.text());
  for (const std::string& address : addresses) append(blob, address);
  Result<std::vector<std::string>> blobs = everyones(blob, deadline);
  if (!blobs.ok()) return blobs.status();

  std::vector<std::vector<std::string>> by_rank;
  for (const std::string& one : blobs.value()) by_rank.push_back(fields_of(one));
  for (int peer = 0; peer < ranks(); ++peer) {
    if (by_rank[peer].size() != 2 + addresses.size() || by_rank[peer][0] != by_rank[0][0])
      return fail(Code::InvalidUsage, "ranks 0 and ", peer,
                  " run different versions of Tutti, or with different TUTTI_ALGO, TUTTI_TILE or TUTTI_TOPO");
    if (!by_rank[peer][1].empty()) return fail(Code::SystemError, "rank ", peer, ": ", by_rank[peer][1]);
  }
  Status connected = connect_transports(by_rank, deadline);
  if (connected.ok()) connected = choose_routes();
  // What ended start-up is the answer, not that connecting was cut short by it or saw the others hang up.
  if (!aborted()) connected = agree(connected, deadline);
  if (!connected.ok()) return aborted() ? first_failure() : connected;
  plans_ = std::make_unique<Plans>(rank(), topology_, routes_, std::move(forced.value()), tile_bytes_);
  return plans_->check_forced();
}

// All transports of today stay within one host: ranks sit side by side, unless a person says otherwise.
Status Comm::set_topology() {
  topology_ = Topology::flat(ranks());
  const std::string& text = settings_.text(Setting::Topo);
  if (text.empty()) return {};
  Result<Topology> topology = Topology::synthetic(text);
  if (!topology.ok()) return fail(Code::InvalidArgument, "TUTTI_TOPO: ", topology.status().text());
  if (topology.value().ranks() == ranks()) {
    topology_ = std::move(topology.value());
  } else {
    log_info(rank(), "TUTTI_TOPO describes ", topology.value().ranks(), " ranks, this communicator has ", ranks(), ": not used");
  }
  return {};
}

// What every rank says, by rank.
Result<std::vector<std::string>> Comm::everyones(const std::string& mine, Deadline deadline) {
  if (!control_) return std::vector<std::string>{mine};
  return control_->all_gather(mine, deadline);
}

// One address per known transport, empty where this rank lacks it.
Status Comm::open_transports(std::vector<std::string>& addresses) {
  std::string absent;
  for (const TransportKind& kind : all_transports()) {
    addresses.emplace_back();
    transports_.emplace_back();
    if (!allowed(settings_.text(Setting::Transports), kind.name)) continue;
    Result<std::unique_ptr<Transport>> made = kind.create({rank(), ranks(), tile_bytes_, settings_, aborted_});
    if (made.ok()) made = make_faulty(std::move(made.value()), settings_.text(Setting::Fault), rank(), ranks());
    if (made.ok()) {
      Result<std::string> address = made.value()->address();
      if (address.ok()) {
        addresses.back() = std::move(address.value());
        transports_.back() = std::move(made.value());
        continue;
      }
      made = address.status();
    }
    if (made.status().code() == Code::InvalidArgument) return made.status();
    log_info(rank(), "transport ", kind.name, " is not used: ", made.status().text());
    absent += concat(absent.empty() ? "" : "; ", made.status().text());
  }
  const auto none = [](const std::unique_ptr<Transport>& transport) { return !transport; };
  if (std::all_of(transports_.begin(), transports_.end(), none))
    return fail(Code::SystemError, "no transport can be used: ", absent);
  return {};
}

Status Comm::connect_transports(const std::vector<std::vector<std::string>>& fields, Deadline deadline) {
  for (size_t t = 0; t < transports_.size(); ++t) {
    std::vector<std::string> addresses;
    for (const std::vector<std::string>& of_rank : fields) addresses.push_back(of_rank[2 + t]);
    // A transport that some rank lacks is used by none: both ends of a pair must choose the same one.
    if (std::any_of(addresses.begin(), addresses.end(), [](const std::string& address) { return address.empty(); }))
      transports_[t].reset();
    if (transports_[t]) TUTTI_TRY(transports_[t]->connect(addresses, deadline));
  }
  std::erase(transports_, nullptr);
  return {};
}

Status Comm::choose_routes() {
  for (int peer = 0; peer < ranks(); ++peer) {
    double best_s = 0;
    for (const auto& transport : transports_) {
      const Reach reach = transport->reach(peer);
      const double seconds = reach.latency_s + 64e3 / std::max(reach.bandwidth_Bps, 1.0);  // of a middling message
      if (!reach.reachable || (routes_[peer].transport && seconds >= best_s)) continue;
      routes_[peer] = {transport.get(), &transport->endpoint(peer)};
      best_s = seconds;
    }
    if (!routes_[peer].transport)
      return fail(Code::SystemError, "rank ", rank(), " cannot reach rank ", peer,
                  " by any transport: they are on different hosts or in different network namespaces, and only shared memory "
                  "is available");
  }
  crowded_ = std::any_of(transports_.begin(), transports_.end(), [](const auto& transport) { return transport->crowded(); });
  inline_polls_ = crowded_ ? 1 : 1000;
  return {};
}

// All ranks succeed, or all return the first failing rank's reason.
Status Comm::agree(const Status& mine, Deadline deadline) {
  std::string blob;
  append(blob, std::to_string(static_cast<int>(mine.code())));
  append(blob, mine.text());
  Result<std::vector<std::string>> all = everyones(blob, deadline);
  if (!all.ok()) return mine.ok() ? all.status() : mine;
  for (int peer = 0; peer < ranks(); ++peer) {
    const std::vector<std::string> fields = fields_of(all.value()[peer]);
    if (fields.size() == 2 && fields[0] == "0") continue;
    if (fields.size() != 2) return fail(Code::InternalError, "rank ", peer, " sent a malformed answer");
    return fail(static_cast<Code>(std::stoi(fields[0])), fields[1]);
  }
  return {};
}

Result<CommOptions> Comm::split(int color, int key) {
  struct Choice {
    int color, key;
  };
  CommOptions options;
  options.timeout_s = timeout_s();
  options.name = name();
  if (!control_) {  // the only rank
    options.ranks = color >= 0 ? 1 : 0;
    return options;
  }
  const Deadline deadline = Deadline::after_s(settings_.seconds(Setting::InitTimeout));
  const Choice mine{color, key};
  Result<std::vector<std::string>> choices =
      control_->all_gather(std::string(reinterpret_cast<const char*>(&mine), sizeof mine), deadline);
  if (!choices.ok()) return choices.status();
  std::vector<std::pair<int, int>> members;  // (key, rank)
  for (int peer = 0; peer < ranks(); ++peer) {
    Choice choice;
    if (choices.value()[peer].size() != sizeof choice) return fail(Code::InvalidUsage, "rank ", peer, " is not in CommSplit");
    std::memcpy(&choice, choices.value()[peer].data(), sizeof choice);
    if (color >= 0 && choice.color == color) members.emplace_back(choice.key, peer);
  }
  std::sort(members.begin(), members.end());

  // The first member makes the id; everyone takes part in the exchange, members of other colors too.
  std::string id;
  if (members.size() > 1 && members[0].second == rank()) {
    // An id made from TUTTI_COMM_ID would be the parent's.
    Result<UniqueId> made = make_child_id(settings_);
    if (made.ok()) id.assign(made.value().data(), made.value().size());
  }
  Result<std::vector<std::string>> ids = control_->all_gather(id, deadline);
  if (!ids.ok()) return ids.status();
  options.ranks = static_cast<int>(members.size());
  for (size_t i = 0; i < members.size(); ++i)
    if (members[i].second == rank()) options.rank = static_cast<int>(i);
  if (members.size() > 1) {
    const std::string& first = ids.value()[members[0].second];
    if (first.size() != options.id.size())
      return fail(Code::SystemError, "CommSplit: rank ", members[0].second, " could not open a rendezvous for the new communicator");
    std::copy(first.begin(), first.end(), options.id.begin());
  }
  return options;
}

}  // namespace tutti
