namespace Krewe.Tidy.Tests;

/// <summary>Turns what a checker found into one failure that lists all of it.</summary>
internal static class Findings
{
    public static void None(IEnumerable<string> findings)
    {
        var all = findings.ToArray();
        Assert.True(all.Length == 0, string.Join('\n', all));
    }
}
