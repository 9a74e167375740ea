namespace Krewe.Cli;

/// <summary>Ends the processes of a local cluster: silos first, which drain; Redis last, which they write to.</summary>
internal static class ClusterEnd
{
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(100);

    /// <summary>A silo drains for 25 s, and leaves its cluster.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(40);

    public static async Task EndAsync(
        IReadOnlyList<ClusterMember> members, TimeProvider time, CancellationToken cancellationToken)
    {
        foreach (var kind in (MemberKind[])[MemberKind.Silo, MemberKind.Worker, MemberKind.Redis])
        {
            var living = members.Where(member => member.Kind == kind).ToList();
            foreach (var member in living) DetachedProcess.RequestStop(member);
            var begun = time.GetTimestamp();
            while (living.Exists(DetachedProcess.IsAlive) && time.GetElapsedTime(begun) < Grace)
                await Task.Delay(Look, time, cancellationToken);
            foreach (var member in living) DetachedProcess.Kill(member);
        }
    }
}
