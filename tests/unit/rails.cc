// rails: which NICs of different ranks belong together, how messages are dealt over them, and what a rank tells of its NICs.
#include "lib/topo/rails.h"

#include <algorithm>
#include <cstdlib>

#include "lib/base/host.h"
#include "tests/catch.h"

namespace tutti {
namespace {

Nic nic(const std::string& name, const std::string& network, const std::string& ip, uint64_t bytes_per_s = 0) {
  return {name, network, ip, name == "lo", bytes_per_s};
}

}  // namespace

TEST_CASE("interfaces in one network make a rail, whatever their names and order") {
  const std::vector<RankNics> ranks{{1, false, {nic("eth0", "A", "A1"), nic("eth1", "B", "B1"), nic("eth2", "C", "C1")}},
                                       {1, false, {nic("eth0", "A", "A1"), nic("eth1", "B", "B1"), nic("eth2", "C", "C1")}},
                                       {2, false, {nic("p0", "B", "B2"), nic("p1", "A", "A2")}}};
  CHECK(match_rails(ranks) == Rails{{0, 0, 1}, {1, 1, 0}});
}

TEST_CASE("hosts with the same address are not joined by that network") {
  const std::vector<RankNics> ranks{{1, false, {nic("br", "P", "P1"), nic("eth0", "A", "A1")}},
                                       {2, false, {nic("br", "P", "P1"), nic("eth0", "A", "A2")}}};
  CHECK(match_rails(ranks) == Rails{{1, 1}});
}

TEST_CASE("hosts in different networks have one rail, or those that all name") {
  std::vector<RankNics> ranks{{1, false, {nic("eth0", "A", "A1"), nic("eth1", "B", "B1")}},
                                 {2, false, {nic("eth0", "C", "C1"), nic("eth1", "D", "D1"), nic("eth2", "E", "E1")}}};
  CHECK(match_rails(ranks) == Rails{{0, 0}});
  ranks[0].named = true;
  CHECK(match_rails(ranks) == Rails{{0, 0}});
  ranks[1].named = true;
  CHECK(match_rails(ranks) == Rails{{0, 0}, {1, 1}});
}

TEST_CASE("those that all name are all used, though one network is common to all") {
  const std::vector<RankNics> ranks{{1, true, {nic("eth0", "A", "A1"), nic("eth1", "B", "B1")}},
                                       {2, true, {nic("eth0", "A", "A2"), nic("eth1", "C", "C1")}}};
  CHECK(match_rails(ranks) == Rails{{0, 0}, {1, 1}});
}

TEST_CASE("messages are dealt over rails by their rates") {
  const auto counts = [](std::vector<uint64_t> rates) {
    std::vector<int> counts(rates.size());
    for (const uint8_t rail : deal_rails(rates)) ++counts[rail];
    return counts;
  };
  CHECK(counts({5}) == std::vector<int>{64});
  CHECK(counts({5, 5}) == std::vector<int>{32, 32});
  CHECK(counts({300, 100}) == std::vector<int>{48, 16});
  CHECK(counts({0, 100}) == std::vector<int>{32, 32});
  CHECK(counts({100'000, 1}) == std::vector<int>{64, 0});
  const auto deal = deal_rails(std::vector<uint64_t>{300, 100});
  for (uint32_t at = 0; at < kDeal; at += 4) CHECK(std::count(&deal[at], &deal[at] + 4, 1) == 1);
}

TEST_CASE("two interfaces in one network are one rail") {
  const std::vector<RankNics> ranks{{1, false, {nic("eth0", "A", "A1"), nic("eth1", "A", "A2")}},
                                       {2, false, {nic("eth0", "A", "A3"), nic("eth1", "A", "A4")}}};
  CHECK(match_rails(ranks) == Rails{{0, 0}});
}

TEST_CASE("two ranks see their rails alike, and the slower end decides") {
  const std::vector<RankNics> ranks{{1, false, {nic("eth0", "A", "A1", 300), nic("eth1", "B", "B1", 400)}},
                                    {2, false, {nic("eth0", "A", "A2", 900), nic("eth1", "B", "B2", 100)}},
                                    {3, false, {nic("eth0", "A", "A3"), nic("eth1", "B", "B3", 100)}}};
  const Rails rails = match_rails(ranks);
  REQUIRE(rails.size() == 2);
  const RailsBetween one = rails_between(ranks, rails, 0, 1), other = rails_between(ranks, rails, 1, 0);
  CHECK(one.reachable);
  CHECK(one.deal == deal_rails(std::vector<uint64_t>{300, 100}));
  CHECK(other.deal == one.deal);
  CHECK(rails_between(ranks, rails, 0, 2).deal == deal_rails(std::vector<uint64_t>{0, 100}));
  CHECK(least_Bps(std::span(ranks).first(2), rails) == 700);
  CHECK(least_Bps(std::span(ranks).last(1), {{0}, {1}}) == kUnknownRateBps + 100);
}

TEST_CASE("loopback reaches ranks of its own host only, seen from either side") {
  const std::vector<RankNics> ranks{{1, false, {nic("lo", "L", "L1")}},
                                    {1, false, {nic("lo", "L", "L1")}},
                                    {2, false, {nic("eth0", "A", "A1")}}};
  const Rails rails = match_rails(ranks);
  REQUIRE(rails == Rails{{0, 0, 0}});
  CHECK(rails_between(ranks, rails, 0, 1).reachable);
  CHECK(!rails_between(ranks, rails, 0, 2).reachable);
  CHECK(!rails_between(ranks, rails, 2, 0).reachable);
}

TEST_CASE("what a rank tells of its NICs comes back as it was, and neither none nor too many") {
  const auto told = [](const RankNics& rank) {
    ByteWriter to;
    write(to, rank);
    return to.bytes();
  };
  RankNics rank{5, true, {nic("lo", std::string("\0B", 2), "", 7), nic("eth0", "A", "A1")}};
  for (const size_t nics : {size_t{0}, size_t{1}, size_t{2}, kMostRails, kMostRails + 1}) {
    rank.nics.resize(nics);
    const std::string bytes = told(rank);
    ByteReader from(bytes);
    RankNics back;
    read(from, back);
    CHECK(from.whole() == (nics >= 1 && nics <= kMostRails));
    if (from.whole()) CHECK(told(back) == bytes);
    for (size_t length = 0; length < bytes.size(); ++length) {
      ByteReader part(std::string_view(bytes).substr(0, length));
      read(part, back);
      REQUIRE(!part.whole());
    }
  }
}

TEST_CASE("this rank's NICs: those that TUTTI_NET_IFNAME names") {
  REQUIRE(machine_id().ok());
  setenv("TUTTI_NET_IFNAME", "=lo", 1);
  const Result<RankNics> here = rank_nics_here(Settings::load().value(), std::vector<Cluster::Nic>{{"eth0", 8e9}, {"lo", 16e9}});
  unsetenv("TUTTI_NET_IFNAME");
  REQUIRE(here.ok());
  CHECK(here.value().named);
  CHECK(here.value().host == host_number());
  REQUIRE(here.value().nics.size() == 1);
  CHECK(here.value().nics[0].loopback);
  CHECK(here.value().nics[0].bytes_per_s == 2'000'000'000);  // what a person knows comes before what the driver says
}

}  // namespace tutti
