#ifndef KVARTS_NET_TCP_TCP_H_
#define KVARTS_NET_TCP_TCP_H_

#include "base/language.h"

#include <memory>

#include "net/transport.h"

namespace kvarts {

// The system's stream sockets: "tcp://HOST:PORT" and "unix:PATH". The loops must
// be those of EventLoops::New(), others are kInvalidArgument.
//
// HOST is an IPv4 address, an IPv6 address in brackets, or a name. Connect()
// looks a name up off the loop and tries each of its addresses in turn; Listen()
// looks it up before it returns and takes the first address, of IPv4 if there is
// one. "[::]" takes IPv4 too where the system is set up so. Small writes are sent
// at once (TCP_NODELAY).
//
// PATH is a file name of at most 107 bytes, relative to the working directory.
// Listen() holds flock() on its directory while it looks for a dead process's
// socket, so that two processes that start at once do not take it from each other.
// A live listener that is asked whether it lives sees a connection that ends at once.
std::unique_ptr<Transport> NewTcpTransport();

}  // namespace kvarts

#endif  // KVARTS_NET_TCP_TCP_H_
