// plan: a program bound to the endpoints of one communicator; still free of counts, types and addresses.
#pragma once
#include <functional>
#include <memory>

#include "lib/sched/program.h"
#include "lib/transport/transport.h"

namespace tutti {

// A peer as the communicator reaches it.
struct Route {
  Transport* transport = nullptr;
  Endpoint* endpoint = nullptr;
};

struct PlanTarget {
  Endpoint* endpoint;
  MappedEndpoint* mapped;  // null: none
  int32_t peer;
  uint32_t lane;     // index in Plan::lanes
  uint32_t message;  // within one tile
  uint8_t channel;
};

struct PlanSource {
  Endpoint* endpoint;  // null: local chunks at `ref`
  int32_t peer;
  uint32_t lane, message;
  uint8_t channel;
  bool lands;          // the transport needs memory to receive into
  uint32_t incoming;   // index of its Incoming in an instance
  Ref ref;
};

// The targets of one Send that share a transport, and so one payload.
struct PostGroup {
  uint32_t first, count;  // range of Plan::targets
  bool copies;            // Transport::copies()
};

struct PlanWork {
  Work::Kind kind;
  Ref ref;
  uint32_t chunks;
  uint32_t first, count;  // Send: range of Plan::groups; Combine: range of Plan::sources
  uint32_t first_dependent, dependents;
  uint32_t into_send, into_copy;  // as in Work
};

struct Plan {
  uint32_t blocks, chunks, scratch_copies, largest_message;
  std::vector<PlanWork> works;
  std::vector<PlanSource> sources;
  std::vector<PlanTarget> targets;
  std::vector<PostGroup> groups;
  std::vector<uint32_t> dependents;
  std::vector<uint32_t> dependencies;  // per work: the number at the start of a tile
  uint32_t most_sources = 0;           // of one Combine
  std::vector<uint32_t> roots;         // works with no dependency
  std::vector<Lane> lanes;
  uint32_t incomings = 0;
  bool lands = false;                  // some source does
  const char* algorithm = nullptr;     // whose it is; null: of none
  bool point_to_point = false;         // a single message of a Send or Recv call, no collective
};

// The longest message of a plan when a chunk is as short as it can be: one element of the largest type.
inline size_t least_message_bytes(const Plan& plan) { return size_t{plan.largest_message} * 8; }

// routes: by rank. The program must only name peers that have a route.
std::unique_ptr<Plan> bind_plan(const Program& program, uint32_t blocks, std::span<const Route> routes);

}  // namespace tutti
