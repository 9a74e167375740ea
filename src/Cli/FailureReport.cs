using System.Net.Sockets;
using Krewe.Abstractions;
using Krewe.Models;
using Krewe.Simulation;
using Krewe.Simulation.Faults;

namespace Krewe.Cli;

/// <summary>An exception that reached the command: one clear line on Error and the exit code that fits.</summary>
internal static class FailureReport
{
    public static int Print(Exception failure, Terminal terminal, bool verbose)
    {
        var cause = Unwrap(failure);
        foreach (var line in cause.Message.Split('\n', StringSplitOptions.RemoveEmptyEntries))
            terminal.Say(line.TrimEnd());
        if (verbose) terminal.Error.WriteLine(failure);
        else if (IsUnexpected(cause)) terminal.Say($"unexpected {cause.GetType().Name}; --verbose shows where.");
        return CodeOf(cause);
    }

    public static int CodeOf(Exception failure) => failure switch
    {
        ModelException => ExitCode.Refused,
        KreweException e => CodeOf(e.Code),
        _ => ExitCode.Failure,
    };

    public static int CodeOf(ErrorCode code) => code switch
    {
        ErrorCode.InvalidOptions => ExitCode.Usage,
        ErrorCode.PortInUse => ExitCode.PortInUse,
        ErrorCode.DeviceUnavailable => ExitCode.NoDevice,
        ErrorCode.DeviceBusy => ExitCode.DeviceBusy,
        ErrorCode.InvalidModel or ErrorCode.ProtocolMismatch or ErrorCode.ModelMismatch
            or ErrorCode.NumericsMismatch or ErrorCode.KvGeometryMismatch => ExitCode.Refused,
        _ => ExitCode.Failure,
    };

    private static bool IsUnexpected(Exception failure) => failure is not
        (ModelException or KreweException or SimulationException or FaultViolationException or IOException
        or UnauthorizedAccessException or HttpRequestException or SocketException);

    private static Exception Unwrap(Exception failure) =>
        failure is AggregateException { InnerExceptions.Count: 1 } many ? Unwrap(many.InnerExceptions[0]) : failure;
}
