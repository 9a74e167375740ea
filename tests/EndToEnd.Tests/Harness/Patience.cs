namespace Krewe.EndToEnd.Tests.Harness;

/// <summary>How long tests wait for what must come. Minutes: machines that test Krewe are busy with others' work at
/// times.</summary>
internal static class Patience
{
    /// <summary>More is a hang.</summary>
    public static readonly TimeSpan Hang = TimeSpan.FromMinutes(3);
}
