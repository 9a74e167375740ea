using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Krewe.EndToEnd.Tests.Harness;

/// <summary>Signals to worker processes, sent as an operator would.</summary>
public static class Signals
{
    private const int SigInt = 2;

    /// <summary>
    /// Makes what these tests start hear Ctrl-C. A shell without job control starts background commands with SIGINT
    /// ignored, which everything below them inherits, and .NET leaves an ignored signal ignored.
    /// </summary>
    public static void HearInterrupts() => SetHandler(SigInt, handler: 0);

    public static void Kill(int pid) => Send("KILL", pid);

    /// <summary>Stops it in its tracks: its sockets stay open and silent.</summary>
    public static void Stop(int pid) => Send("STOP", pid);

    public static void Continue(int pid) => Send("CONT", pid);

    public static void Interrupt(int pid) => Send("INT", pid);

    public static void Terminate(int pid) => Send("TERM", pid);

    private static void Send(string signal, int pid)
    {
        using var kill = Process.Start("kill", [$"-{signal}", $"{pid}"]);
        kill.WaitForExit();
        Assert.Equal(0, kill.ExitCode);
    }

    [DllImport("libc", EntryPoint = "signal")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern nint SetHandler(int signal, nint handler);
}
