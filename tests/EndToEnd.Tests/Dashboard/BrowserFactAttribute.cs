namespace Krewe.EndToEnd.Tests.Dashboard;

/// <summary>A test in a real browser: skipped, saying so, where no Chromium is found.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class BrowserFactAttribute : FactAttribute
{
    private static readonly string[] Usual =
        ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome", "/snap/bin/chromium"];

    public BrowserFactAttribute()
    {
        if (Browser is null)
            Skip = "needs Chromium: apt-get install chromium, or KREWE_CHROMIUM with the path of its program";
    }

    /// <summary>The browser's program; null where there is none.</summary>
    public static string? Browser { get; } =
        Environment.GetEnvironmentVariable("KREWE_CHROMIUM") is { Length: > 0 } named ? named
        : Usual.FirstOrDefault(File.Exists);
}
