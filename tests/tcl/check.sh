#!/bin/sh
# The Tcl suite as one test of `make check`. TQ_SERVER names the server.
exec tclsh "$(dirname "$0")/run.tcl"
