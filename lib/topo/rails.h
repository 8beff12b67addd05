// rails: which NICs of different ranks belong together, and how messages are dealt over them. For every network transport.
//
// A rail is one NIC of every rank; messages between two ranks travel over all rails at once. At start-up each rank publishes its RankNics.
// All else here are pure functions of everyone's, so that all ranks agree:
//   rank_nics_here() -> write(), publish, read() -> match_rails() -> rails_between() for each peer
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/topo/nics.h"

namespace tutti {

// What a rank tells the others of its NICs.
struct RankNics {
  uint64_t host = 0;       // host_number()
  bool named = false;      // TUTTI_NET_IFNAME is set
  std::vector<Nic> nics;   // that carry messages: 1 to kMostRails, in order of preference
};

// Those of the calling process. Parameters and errors: as choose_nics(). REQUIRES: as host_number().
Result<RankNics> rank_nics_here(const Settings& settings, std::span<const Cluster::Nic> written);

// As a part of what a rank publishes. read() refuses what is not of 1 to kMostRails NICs.
void write(ByteWriter& to, const RankNics& rank);
void read(ByteReader& from, RankNics& rank);

// rails[r][rank]: the index of the rank's NIC of rail r.
using Rails = std::vector<std::vector<uint32_t>>;

// NICs in the same IP network make a rail. Where no network is common to all, ranks are taken to be joined by routers: then the first of
// each make one. Where a person named them on all ranks, and networks do not match all of them, they match in their order.
// REQUIRES: each rank has a NIC.
Rails match_rails(std::span<const RankNics> ranks);

inline constexpr uint32_t kDeal = 64;  // messages after which their distribution over the rails begins anew; divides 2^32
// The rail of message number k is deal[k % kDeal].
using Deal = std::array<uint8_t, kDeal>;

// Evenly mixed, as many as in proportion to the rates (bytes per second; 0: unknown, then all are taken to be alike).
Deal deal_rails(std::span<const uint64_t> rates);

// What holds between ranks a and b. The same with a and b exchanged.
struct RailsBetween {
  bool reachable;  // false: on different hosts, and a rail is loopback
  Deal deal;
};
RailsBetween rails_between(std::span<const RankNics> ranks, const Rails& rails, size_t a, size_t b);

// Bytes per second of all rails together, at the rank where that is least. A NIC whose rate is unknown counts as kUnknownRateBps.
inline constexpr double kUnknownRateBps = 1.25e9;
double least_Bps(std::span<const RankNics> ranks, const Rails& rails);

}  // namespace tutti
