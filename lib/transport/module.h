// module: a transport that needs a vendor's library is a file of its own, loaded when it is asked for; so its absence, or that of
// the library, breaks nothing.
//
// The file is tutti/transport-NAME.so beside the library. It answers for a TransportKind by one C symbol, and is never unloaded:
// vendors' libraries leave threads and handlers behind. It belongs to the very build whose interface it was compiled with.
#pragma once
#include "lib/transport/transport.h"

namespace tutti {

struct TransportModule {
  uint32_t interface;  // of transport.h; nothing else may be read unless it is kModuleInterface
  uint32_t settings;   // the number of settings
  TransportKind kind;
};

// Counts the changes of transport.h, settings.h and status.h that a module would notice.
inline constexpr uint32_t kModuleInterface = 3;
// extern "C" const TransportModule* tutti_transport_module()
inline constexpr const char* kModuleSymbol = "tutti_transport_module";

// The transport of the module NAME. Fails if there is none that fits.
Result<std::unique_ptr<Transport>> create_from_module(const std::string& name, const TransportOptions& options);

}  // namespace tutti
