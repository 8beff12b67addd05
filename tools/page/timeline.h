// timeline: what a page or a picture shows, wherever it came from: ranks with spans of time, messages between ranks, places, and links with
// their load. Only ranks have to be there.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace tutti::show {

struct Timeline {
  enum class Unit { Microseconds, Steps };

  // What a rank did. name: "send input[0..1) to 1"; note: "tile 3".
  struct Span {
    double begin, end;
    uint32_t kind;  // of `kinds`
    uint64_t amount;
    std::string name, note;
  };
  struct Rank {
    std::string name;  // empty: "rank 3", by its place in the list
    int place = -1;  // of `places`: the innermost that it shares with others
    std::vector<Span> spans;
    std::vector<double> busy;  // share of each slot
  };
  struct Message {
    int from, to;
    double begin, end;
    bool network;  // else in memory
    uint64_t amount;
    std::string way, note;
  };
  struct Place {
    std::string name;
    int parent = -1;  // stands before its children
  };
  struct Link {
    std::string name;       // "host 0 out"
    std::string level;      // "host"
    int place, rank;        // whose it is; -1: not this kind
    bool out;
    double bytes_per_s, bytes;
    std::vector<double> load;  // share of each slot
  };

  std::string title;
  std::vector<std::pair<std::string, std::string>> facts;
  Unit unit = Unit::Microseconds;
  std::string amount_unit = "bytes";
  double end = 0;
  // Spans and messages that end later were too many to be kept; `busy` and `load` have all.
  double complete_until = 0;
  double slot = 0;  // width
  std::vector<std::string> kinds = {"send", "combine"};
  std::string idle = "waiting";  // of a rank between its spans
  std::vector<Place> places;
  std::vector<Rank> ranks;
  std::vector<Message> messages;
  std::vector<Link> links;
};

}  // namespace tutti::show
