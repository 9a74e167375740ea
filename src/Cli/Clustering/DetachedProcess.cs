using System.ComponentModel;
using System.Diagnostics;

namespace Krewe.Cli;

/// <summary>A process that lives on when this one ends: in a session of its own, its words in a file.</summary>
internal static class DetachedProcess
{
    /// <summary>The system rounds start times to its clock's ticks.</summary>
    private static readonly TimeSpan StartTolerance = TimeSpan.FromSeconds(2);

    /// <summary>The shell's part: $0 is the log, the rest the command. exec keeps the process id.</summary>
    private const string Script =
        """if command -v setsid >/dev/null 2>&1; then exec setsid "$@" </dev/null >>"$0" 2>&1; else """
        + """exec nohup "$@" </dev/null >>"$0" 2>&1; fi""";

    public static ClusterMember Start(
        string name, MemberKind kind, string? address, string log, IEnumerable<string> command)
    {
        var start = new ProcessStartInfo("/bin/sh") { UseShellExecute = false };
        foreach (var word in (IEnumerable<string>)["-c", Script, log, .. command]) start.ArgumentList.Add(word);
        using var process = Process.Start(start)!;
        return new ClusterMember(name, kind, process.Id, process.StartTime.ToUniversalTime(), address);
    }

    /// <summary>The very process that was started still runs.</summary>
    public static bool IsAlive(ClusterMember member)
    {
        try
        {
            using var process = Process.GetProcessById(member.Pid);
            return !process.HasExited && (process.StartTime.ToUniversalTime() - member.StartedAt.UtcDateTime).Duration()
                < StartTolerance;
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException or Win32Exception)
        {
            return false;
        }
    }

    /// <summary>Asks it to end (SIGTERM).</summary>
    public static void RequestStop(ClusterMember member)
    {
        if (!IsAlive(member)) return;
        using var kill = Process.Start("kill", ["-TERM", member.Pid.ToString(provider: null)]);
        kill.WaitForExit();
    }

    public static void Kill(ClusterMember member)
    {
        if (!IsAlive(member)) return;
        using var process = Process.GetProcessById(member.Pid);
        process.Kill();
    }

    /// <summary>Full path of a program on PATH; null when it is not there.</summary>
    public static string? Find(string program) => (Environment.GetEnvironmentVariable("PATH") ?? "")
        .Split(Path.PathSeparator)
        .Select(folder => Path.Combine(folder, program))
        .FirstOrDefault(File.Exists);
}
