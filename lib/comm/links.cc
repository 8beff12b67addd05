// links: see links.h.
#include "lib/comm/links.h"

#include <algorithm>
#include <cstdlib>

#include "lib/base/log.h"
#include "lib/base/version.h"
#include "lib/comm/fields.h"
#include "lib/comm/identity.h"
#include "lib/comm/seats.h"
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

// One rank's part in joining.
class Joining {
 public:
  Joining(CommOptions& options, const Settings& settings, Life& life, Links& links)
      : options_(options), settings_(settings), life_(life), links_(links), tile_bytes_(settings.number(Setting::Tile)) {}
  Status run(Control::Callbacks callbacks);

 private:
  Status meet(Control::Callbacks callbacks);
  Status connect_transports(const Status& placed);
  Status connect_transport(const TransportKind& kind, std::unique_ptr<Transport> transport, std::span<const std::string> addresses);
  Result<std::vector<std::string>> everyones(const std::string& mine);
  std::string introduction(const Status& placed) const;
  std::string tracing() const;
  void hear_tracing(const std::vector<std::string>& all);
  Status compare_clocks();
  Status hear_introductions(const std::vector<std::string>& introductions);
  Status open_transport(const TransportKind& kind, std::unique_ptr<Transport>& transport, std::string& address);
  bool choose_routes();
  std::string routes_text() const;
  Status unreachable() const;
  std::optional<HostLink> host_link() const;
  Result<std::vector<std::string>> agree(const Status& mine, const std::string& say);
  int rank() const { return options_.rank; }
  int ranks() const { return options_.ranks; }

  CommOptions& options_;
  const Settings& settings_;
  Life& life_;
  Links& links_;
  const size_t tile_bytes_;
  const Deadline deadline_ = Deadline::after_s(settings_.seconds(Setting::InitTimeout));
  Seats seats_;
  bool some_trace_ = false;  // the same on all ranks
  std::string absent_;  // which ranks lack which transports, and why
};

Status Joining::run(Control::Callbacks callbacks) {
  const Status placed = seats_.read(settings_, rank(), ranks(), options_.split);
  links_.routes.resize(static_cast<size_t>(ranks()));
  if (ranks() > 1)
    TUTTI_TRY(meet(std::move(callbacks)));
  else
    options_.number = next_comm_number();

  // A single rank needs a transport, too: it may send to itself.
  const Status connected = connect_transports(placed);
  if (!connected.ok()) return life_.failed() ? life_.failure() : connected;
  if (rank() == 0 && ranks() > 1) log_info(rank(), "transports: ", routes_text());
  links_.crowded = seats_.crowded();
  return {};
}

Status Joining::meet(Control::Callbacks callbacks) {
  Result<std::unique_ptr<Control>> control = Control::join(settings_, options_.id, rank(), ranks(), std::move(callbacks), life_.failed_flag());
  if (!control.ok()) return life_.failed() ? life_.failure() : control.status();
  links_.control = std::move(control.value());
  options_.number = links_.control->number();
  return life_.start_connecting(*links_.control);
}

// What every rank says, by rank.
Result<std::vector<std::string>> Joining::everyones(const std::string& mine) {
  if (!links_.control) return std::vector<std::string>{mine};
  return links_.control->all_gather(mine, deadline_, concat("joining ", options_.title()));
}

// What must be alike on all ranks, what went wrong so far, and where this rank is.
std::string Joining::introduction(const Status& placed) const {
  std::string terms = concat(kVersionCode, "|", tile_bytes_, "|", seats_.given());
  for (const Setting setting : {Setting::Algo, Setting::Transports}) append(terms, settings_.text(setting));
  std::string all;
  append(all, terms);
  append(all, field_of(placed.code()));
  append(all, placed.text());
  append(all, seats_.whereabouts());
  return all;
}

// This process, and whether the rank traces.
std::string Joining::tracing() const { return hex(process_number()) + (settings_.text(Setting::Trace).empty() ? "-" : "+"); }

void Joining::hear_tracing(const std::vector<std::string>& all) {
  some_trace_ = std::any_of(all.begin(), all.end(), [](const std::string& one) { return !one.empty() && one.back() == '+'; });
  options_.key = hash_of(concat(all[0], options_.number));
  if (options_.root_key != 0) return;  // from a split
  options_.root_key = options_.key;
  options_.root_rank = rank();
}

// The ranks are on several machines.
Status Joining::compare_clocks() {
  constexpr int64_t kMostNs = int64_t{1} << 60;
  ClockComparison comparison;
  for (int round = 0; round < ClockComparison::kRounds; ++round) {
    const int64_t sent_ns = now_ns();
    const Result<std::vector<std::string>> all = everyones(std::to_string(sent_ns));
    if (!all.ok()) return all.status();
    const int64_t come_ns = now_ns(), theirs_ns = std::strtoll(all.value()[0].c_str(), nullptr, 10);
    if (theirs_ns < 0 || theirs_ns > kMostNs) return fail(Code::InternalError, "rank 0 sent a malformed time");
    comparison.add(sent_ns, come_ns, theirs_ns);
  }
  if (!seats_.clock_of_rank0()) links_.clock = comparison.result();
  return {};
}

// Hears everyone's introduction(). Errors are the same on all ranks.
Status Joining::hear_introductions(const std::vector<std::string>& introductions) {
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
  TUTTI_TRY(seats_.hear(whereabouts));
  if (seats_.nics_matter()) {
    Result<std::vector<std::string>> nics = everyones(seats_.nics());
    if (!nics.ok()) return nics.status();
    seats_.hear_nics(nics.value());
  }
  return seats_.place();
}

Status Joining::open_transport(const TransportKind& kind, std::unique_ptr<Transport>& transport, std::string& address) {
  Result<std::unique_ptr<Transport>> made = kind.create({rank(), ranks(), tile_bytes_, settings_, life_.failed_flag(), seats_.nics_written()});
  if (made.ok()) made = make_faulty(std::move(made.value()), settings_.text(Setting::Fault), rank(), ranks());
  if (!made.ok()) return made.status();
  Result<std::string> own = made.value()->address();
  if (!own.ok()) return own.status();
  address = std::move(own.value());
  transport = std::move(made.value());
  return {};
}

// Transports in their order, until every rank reaches every other; then the topology is known. All ranks take part in the same
// all-gathers: what ends the loop, or skips a transport, is known to all.
Status Joining::connect_transports(const Status& placed) {
  bool first = true;
  for (const TransportKind& kind : all_transports()) {
    if (!allowed(settings_.text(Setting::Transports), kind.name)) continue;
    std::unique_ptr<Transport> transport;
    std::string address, blob;
    const Status opened = open_transport(kind, transport, address);
    append(blob, first ? introduction(placed) : "");  // goes along with the first all-gather, whatever transport that is about
    append(blob, field_of(opened.code()));
    append(blob, opened.text());
    append(blob, address);
    append(blob, first ? tracing() : "");
    Result<std::vector<std::string>> blobs = everyones(blob);
    if (!blobs.ok()) return blobs.status();

    std::vector<std::vector<std::string>> by_rank;
    std::vector<std::string> introductions, tracing;
    for (const std::string& one : blobs.value()) {
      std::vector<std::string>& fields = by_rank.emplace_back(fields_of(one));
      fields.resize(5);  // where a rank says something else, hear_introductions() says so
      introductions.push_back(fields[0]);
      tracing.push_back(fields[4]);
    }
    if (first) {
      TUTTI_TRY(hear_introductions(introductions));
      hear_tracing(tracing);
      if (some_trace_ && !seats_.one_clock()) TUTTI_TRY(compare_clocks());
    }
    first = false;
    std::vector<std::string> addresses(by_rank.size());
    std::string lacking;
    size_t have = 0;
    for (size_t peer = 0; peer < by_rank.size(); ++peer) {
      const Code code = code_of(by_rank[peer][1]);
      if (code == Code::InvalidArgument) return fail(code, "rank ", peer, ": ", by_rank[peer][2]);
      if (code == Code::Success) {
        addresses[peer] = by_rank[peer][3];
        ++have;
      } else if (lacking.empty()) {
        lacking = concat("rank ", peer, ": ", by_rank[peer][2]);
      }
    }
    if (!lacking.empty()) {
      if (kind.one_host && seats_.any_together() && settings_.text(Setting::Transports).empty())
        return fail(Code::SystemError, lacking, without(kind));
      log_info(rank(), "not all ranks have the transport ", kind.name, ": ", lacking);
      absent_ += concat(absent_.empty() ? "" : "; ", lacking);
    }
    if (have < std::min<size_t>(by_rank.size(), 2)) continue;  // it joins no two ranks
    const Status connected = connect_transport(kind, std::move(transport), addresses);
    // What ended start-up is the answer, not that connecting was cut short by it or saw the others hang up.
    if (life_.failed()) break;
    const bool complete = connected.ok() && choose_routes();
    Result<std::vector<std::string>> said = agree(connected, complete ? seats_.findings(host_link()) : "");
    if (!said.ok()) return said.status();
    if (std::any_of(said.value().begin(), said.value().end(), [](const std::string& findings) { return findings.empty(); })) continue;
    Result<Topology> topology = seats_.settle(said.value());
    if (topology.ok()) links_.topology = std::move(topology.value());
    return topology.status();
  }
  return unreachable();
}

// addresses: "" for a rank that does not have the transport. If this is such a rank, there is nothing to do.
Status Joining::connect_transport(const TransportKind& kind, std::unique_ptr<Transport> transport, std::span<const std::string> addresses) {
  if (!transport) return {};
  const Status connected = transport->connect(addresses, deadline_);
  links_.transports.push_back(std::move(transport));
  // The others wait for this rank, and must not wait longer.
  if (connected.code() == Code::SystemError) life_.fail({Code::SystemError, rank(), concat("rank ", rank(), ": ", connected.text(), without(kind))});
  return connected;
}

// The cheapest transport to each peer. False: there is none to some.
bool Joining::choose_routes() {
  bool all = true;
  for (int peer = 0; peer < ranks(); ++peer) {
    double best_s = 0;
    links_.routes[peer] = {};
    for (const auto& transport : links_.transports) {
      const Reach reach = transport->reach(peer);
      const double seconds = reach.latency_s + 64e3 / std::max(reach.bandwidth_Bps, 1.0);  // of a middling message
      if (!reach.reachable || (links_.routes[peer].transport && seconds >= best_s)) continue;
      links_.routes[peer] = {transport.get(), &transport->endpoint(peer)};
      best_s = seconds;
    }
    all = all && links_.routes[peer].transport;
  }
  return all;
}

// "shm to 1, ucx to 6 of 7 peers"
std::string Joining::routes_text() const {
  std::string text;
  for (const auto& transport : links_.transports) {
    int peers = 0;
    for (int peer = 0; peer < ranks(); ++peer) peers += peer != rank() && links_.routes[peer].transport == transport.get();
    if (peers > 0) text += concat(text.empty() ? "" : ", ", transport->name(), " to ", peers);
  }
  return concat(text, " of ", ranks() - 1, " peers");
}

// Why some rank does not reach another.
Status Joining::unreachable() const {
  if (!absent_.empty()) return fail(Code::SystemError, links_.transports.empty() ? "no transport can be used: " : "not all ranks reach one another: ", absent_);
  std::string names;
  for (const auto& transport : links_.transports) names += concat(names.empty() ? "" : " or ", transport->name());
  const auto lost = std::find_if(links_.routes.begin(), links_.routes.end(), [](const Route& route) { return !route.transport; });
  const std::string who = lost == links_.routes.end() ? "some rank cannot reach another by "
                                                      : concat("rank ", rank(), " cannot reach rank ", lost - links_.routes.begin(), " by ");
  return fail(Code::SystemError, who, names, ": they are on different hosts or in different network namespaces");
}

// How the other ranks of this host are reached, at worst, if there are any.
std::optional<HostLink> Joining::host_link() const {
  std::optional<HostLink> worst;
  for (int peer = 0; peer < ranks(); ++peer) {
    if (peer == rank() || !seats_.same_host(peer)) continue;
    const Reach reach = links_.routes[peer].transport->reach(peer);
    if (!worst) worst = {{reach.latency_s, reach.bandwidth_Bps}, reach.memory};
    worst->link = {std::max(worst->link.latency_s, reach.latency_s), std::min(worst->link.bandwidth_Bps, reach.bandwidth_Bps)};
    worst->memory = worst->memory && reach.memory;
  }
  return worst;
}

// All ranks succeed, and hear what all say; or all return the first failing rank's reason.
Result<std::vector<std::string>> Joining::agree(const Status& mine, const std::string& say) {
  std::string blob;
  append(blob, field_of(mine.code()));
  append(blob, mine.text());
  append(blob, say);
  Result<std::vector<std::string>> all = everyones(blob);
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

}  // namespace

Status check_transports(const Settings& settings) {
  return settings.about(Setting::Transports, check_transport_names(settings.text(Setting::Transports)));
}

Status join(CommOptions& options, const Settings& settings, Life& life, Control::Callbacks callbacks, Links& links) {
  return Joining(options, settings, life, links).run(std::move(callbacks));
}

}  // namespace tutti
