// join: how the ranks of a communicator come together.
//
// All ranks meet (boot) and tell each other their version and settings. Then one transport after the other, cheapest first, until
// every rank reaches every other: all open it, tell each other its addresses, connect it if every rank has it, and tell each
// other how that went, so that they all go on, all succeed, or all fail with the same sentence. Ranks that reach one another by a
// cheap transport never pay for a dear one.
#include <algorithm>
#include <cstring>
#include <random>

#include "lib/base/log.h"
#include "lib/base/version.h"
#include "lib/comm/comm.h"
#include "lib/comm/fields.h"
#include "lib/topo/machine.h"
#include "lib/transport/faulty.h"

namespace tutti {
namespace {

// "a,b" -> whether `name` is among them; an empty list allows all.
bool allowed(const std::string& list, const std::string& name) {
  if (list.empty()) return true;
  std::istringstream words(list);
  for (std::string word; std::getline(words, word, ',');)
    if (word == name) return true;
  return false;
}

// Advice for the user: how to do without a transport that fails. "" if its failure does not end start-up.
std::string without(const TransportKind& kind) {
  if (!kind.one_host) return "";
  std::string others;
  for (const TransportKind& other : all_transports())
    if (other.name != std::string(kind.name)) others += concat(others.empty() ? "" : ",", other.name);
  return concat(" (set TUTTI_TRANSPORTS=", others, " to do without ", kind.name, ")");
}

Status check_transport_names(const std::string& list) {
  std::istringstream words(list);
  for (std::string word; std::getline(words, word, ',');) {
    const auto kinds = all_transports();
    if (std::any_of(kinds.begin(), kinds.end(), [&](const TransportKind& kind) { return word == kind.name; })) continue;
    std::string known;
    for (const TransportKind& kind : kinds) known += concat(known.empty() ? "" : ", ", kind.name);
    return fail(Code::InvalidArgument, "there is no transport '", word, "'; known: ", known);
  }
  return {};
}

}  // namespace

Status Comm::check(const Settings& settings) {
  TUTTI_TRY(settings.about(Setting::Transports, check_transport_names(settings.text(Setting::Transports))));
  TUTTI_TRY(settings.about(Setting::Algo, ForcedAlgorithms::parse(settings.text(Setting::Algo)).status()));
  return settings.about(Setting::Fault, check_faults(settings.text(Setting::Fault)));
}

Status Comm::connect() {
  if (options_.alone_by_id) retire_unique_id(settings_, options_.id);
  tile_bytes_ = settings_.number(Setting::Tile);
  cache_bytes_ = settings_.number(Setting::Cache) > 0 ? settings_.number(Setting::Cache) : last_cache_bytes();
  window_ = static_cast<uint32_t>(std::clamp<uint64_t>(settings_.number(Setting::TilesInFlight), 1, kMaxTilesInFlight));
  Result<ForcedAlgorithms> forced = ForcedAlgorithms::parse(settings_.text(Setting::Algo));
  if (!forced.ok()) return forced.status();

  Seats seats;
  const Status placed = seats.read(settings_, rank(), ranks(), options_.split);
  routes_.resize(ranks());
  lanes_.resize(static_cast<size_t>(ranks()) * kLanes);
  singles_.resize(static_cast<size_t>(ranks()));
  const Deadline deadline = Deadline::after_s(settings_.seconds(Setting::InitTimeout));
  if (ranks() > 1) {
    Result<std::unique_ptr<Control>> control =
        Control::join(settings_, options_.id, rank(), ranks(),
                      {[this](const Cause& cause) { on_abort(cause); }, [this](uint64_t asked) { return activity(asked); }}, join_cancel_);
    std::lock_guard lock(mutex_);  // abort() may look for it
    if (!control.ok()) return others_failure_.ok() ? control.status() : others_failure_;
    control_ = std::move(control.value());
    number_ = control_->number();
    if (!failure_.ok()) return failure_;
  } else {
    number_ = next_comm_number();
  }

  // A single rank needs a transport, too: it may send to itself.
  const Status connected = connect_transports(seats, placed, deadline);
  if (!connected.ok()) return aborted() ? first_failure() : connected;
  if (rank() == 0 && ranks() > 1) log_info(rank(), "transports: ", routes_text());
  crowded_ = seats.crowded();
  inline_polls_ = crowded_ ? 0 : 1000;
  plans_ = std::make_unique<Plans>(rank(), topology_, routes_, std::move(forced.value()), tile_bytes_);
  return settings_.about(Setting::Algo, plans_->check_forced());
}

// What every rank says, by rank.
Result<std::vector<std::string>> Comm::everyones(const std::string& mine, Deadline deadline) {
  if (!control_) return std::vector<std::string>{mine};
  return control_->all_gather(mine, deadline, concat("joining ", title()));
}

// What must be alike on all ranks, what went wrong so far, and where this rank is.
std::string Comm::introduction(const Seats& seats, const Status& placed) const {
  std::string terms = concat(kVersionCode, "|", tile_bytes_, "|", seats.given());
  for (const Setting setting : {Setting::Algo, Setting::Transports}) append(terms, settings_.text(setting));
  std::string all;
  append(all, terms);
  append(all, field_of(placed.code()));
  append(all, placed.text());
  append(all, seats.whereabouts());
  return all;
}

// Hears everyone's introduction(). Errors are the same on all ranks.
Status Comm::meet(const std::vector<std::string>& introductions, Seats& seats, Deadline deadline) {
  std::string terms;
  std::vector<std::string> whereabouts;
  for (int peer = 0; peer < ranks(); ++peer) {
    const std::vector<std::string> fields = fields_of(introductions[peer]);
    const bool whole = fields.size() == 4;
    if (whole && code_of(fields[1]) != Code::Success) return fail(code_of(fields[1]), "rank ", peer, ": ", fields[2]);
    if (whole && peer == 0) terms = fields[0];
    if (!whole || fields[0] != terms)
      return fail(Code::InvalidUsage, "ranks 0 and ", peer,
                  " run different versions of Tutti, or with different TUTTI_ALGO, TUTTI_TILE, TUTTI_TRANSPORTS, TUTTI_TOPO or files "
                  "named by TUTTI_TOPO_FILE");
    whereabouts.push_back(fields[3]);
  }
  TUTTI_TRY(seats.hear(whereabouts));
  if (seats.nics_matter()) {
    Result<std::vector<std::string>> nics = everyones(seats.nics(), deadline);
    if (!nics.ok()) return nics.status();
    seats.hear_nics(nics.value());
  }
  return seats.place();
}

Status Comm::open_transport(const TransportKind& kind, const Seats& seats, std::unique_ptr<Transport>& transport, std::string& address) {
  Result<std::unique_ptr<Transport>> made = kind.create({rank(), ranks(), tile_bytes_, settings_, aborted_, seats.nics_written()});
  if (made.ok()) made = make_faulty(std::move(made.value()), settings_.text(Setting::Fault), rank(), ranks());
  if (!made.ok()) return made.status();
  Result<std::string> own = made.value()->address();
  if (!own.ok()) return own.status();
  address = std::move(own.value());
  transport = std::move(made.value());
  return {};
}

// Transports in their order, until every rank reaches every other; then the topology is known. All ranks go through the same
// exchanges: what ends the loop, or skips a transport, is known to all.
Status Comm::connect_transports(Seats& seats, const Status& placed, Deadline deadline) {
  bool first = true;
  std::string absent;  // why transports are not used
  for (const TransportKind& kind : all_transports()) {
    if (!allowed(settings_.text(Setting::Transports), kind.name)) continue;
    std::unique_ptr<Transport> transport;
    std::string address, blob;
    const Status opened = open_transport(kind, seats, transport, address);
    append(blob, first ? introduction(seats, placed) : "");  // goes along with the first exchange, whatever transport that is about
    append(blob, field_of(opened.code()));
    append(blob, opened.text());
    append(blob, address);
    Result<std::vector<std::string>> blobs = everyones(blob, deadline);
    if (!blobs.ok()) return blobs.status();

    std::vector<std::vector<std::string>> by_rank;
    std::vector<std::string> introductions, addresses;
    for (int peer = 0; peer < ranks(); ++peer) {
      std::vector<std::string>& fields = by_rank.emplace_back(fields_of(blobs.value()[peer]));
      fields.resize(4);  // where a rank says something else, meet() says so
      introductions.push_back(fields[0]);
      addresses.push_back(fields[3]);
    }
    if (first) TUTTI_TRY(meet(introductions, seats, deadline));
    first = false;
    bool everywhere = true;  // what some rank lacks is used by none: both ends of a pair must choose the same transport
    for (int peer = 0; peer < ranks(); ++peer) {
      const Code code = code_of(by_rank[peer][1]);
      if (code == Code::InvalidArgument) return fail(code, "rank ", peer, ": ", by_rank[peer][2]);
      if (code != Code::Success && everywhere) absent += concat(absent.empty() ? "" : "; ", "rank ", peer, ": ", by_rank[peer][2]);
      everywhere = everywhere && code == Code::Success;
    }
    if (!everywhere && kind.one_host && seats.any_together() && settings_.text(Setting::Transports).empty())
      return fail(Code::SystemError, absent, without(kind));
    if (!everywhere) {
      log_info(rank(), "transport ", kind.name, " is not used: ", absent);
      continue;
    }
    const Status connected = transport->connect(addresses, deadline);
    transports_.push_back(std::move(transport));
    // The others wait for this rank, and must not wait longer.
    if (connected.code() == Code::SystemError) fail_all(Code::SystemError, rank(), concat("rank ", rank(), ": ", connected.text(), without(kind)));
    // What ended start-up is the answer, not that connecting was cut short by it or saw the others hang up.
    if (aborted()) break;
    const bool complete = connected.ok() && choose_routes();
    Result<std::vector<std::string>> said = agree(connected, complete ? seats.findings(host_link(seats)) : "", deadline);
    if (!said.ok()) return said.status();
    if (std::any_of(said.value().begin(), said.value().end(), [](const std::string& findings) { return findings.empty(); })) continue;
    Result<Topology> topology = seats.settle(said.value());
    if (topology.ok()) topology_ = std::move(topology.value());
    return topology.status();
  }
  return unreachable(absent);
}

// The cheapest transport to each peer. False: there is none to some.
bool Comm::choose_routes() {
  bool all = true;
  for (int peer = 0; peer < ranks(); ++peer) {
    double best_s = 0;
    routes_[peer] = {};
    for (const auto& transport : transports_) {
      const Reach reach = transport->reach(peer);
      const double seconds = reach.latency_s + 64e3 / std::max(reach.bandwidth_Bps, 1.0);  // of a middling message
      if (!reach.reachable || (routes_[peer].transport && seconds >= best_s)) continue;
      routes_[peer] = {transport.get(), &transport->endpoint(peer)};
      best_s = seconds;
    }
    all = all && routes_[peer].transport;
  }
  return all;
}

// "shm to 1, ucx to 6 of 7 peers"
std::string Comm::routes_text() const {
  std::string text;
  for (const auto& transport : transports_) {
    int peers = 0;
    for (int peer = 0; peer < ranks(); ++peer) peers += peer != rank() && routes_[peer].transport == transport.get();
    if (peers > 0) text += concat(text.empty() ? "" : ", ", transport->name(), " to ", peers);
  }
  return concat(text, " of ", ranks() - 1, " peers");
}

Status Comm::unreachable(const std::string& absent) const {
  if (transports_.empty()) return fail(Code::SystemError, "no transport can be used: ", absent);
  std::string names;
  for (const auto& transport : transports_) names += concat(names.empty() ? "" : " or ", transport->name());
  const auto lost = std::find_if(routes_.begin(), routes_.end(), [](const Route& route) { return !route.transport; });
  const std::string who = lost == routes_.end() ? "some rank cannot reach another by "
                                                : concat("rank ", rank(), " cannot reach rank ", lost - routes_.begin(), " by ");
  return fail(Code::SystemError, who, names, ": they are on different hosts or in different network namespaces",
              absent.empty() ? "" : "; not used: ", absent);
}

// How the other ranks of this host are reached, at worst, if there are any.
std::optional<HostLink> Comm::host_link(const Seats& seats) const {
  std::optional<HostLink> worst;
  for (int peer = 0; peer < ranks(); ++peer) {
    if (peer == rank() || !seats.same_host(peer)) continue;
    const Reach reach = routes_[peer].transport->reach(peer);
    if (!worst) worst = {{reach.latency_s, reach.bandwidth_Bps}, reach.memory};
    worst->link = {std::max(worst->link.latency_s, reach.latency_s), std::min(worst->link.bandwidth_Bps, reach.bandwidth_Bps)};
    worst->memory = worst->memory && reach.memory;
  }
  return worst;
}

// All ranks succeed, and hear what all say; or all return the first failing rank's reason.
Result<std::vector<std::string>> Comm::agree(const Status& mine, const std::string& say, Deadline deadline) {
  std::string blob;
  append(blob, field_of(mine.code()));
  append(blob, mine.text());
  append(blob, say);
  Result<std::vector<std::string>> all = everyones(blob, deadline);
  if (!all.ok()) return mine.ok() ? all.status() : mine;
  std::vector<std::string> said;
  for (int peer = 0; peer < ranks(); ++peer) {
    std::vector<std::string> fields = fields_of(all.value()[peer]);
    if (fields.size() != 3) return fail(Code::InternalError, "rank ", peer, " sent a malformed answer");
    if (code_of(fields[0]) != Code::Success) return fail(code_of(fields[0]), fields[1]);
    said.push_back(std::move(fields[2]));
  }
  return said;
}

}  // namespace tutti
