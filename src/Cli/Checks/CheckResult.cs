namespace Krewe.Cli;

internal enum CheckLevel
{
    Ok,

    /// <summary>Works, but not as well as it could.</summary>
    Warn,

    /// <summary>Something that <c>krewe serve</c> needs is missing.</summary>
    Fail,
}

/// <summary>One line of <c>krewe doctor</c>.</summary>
/// <param name="What">What was looked at.</param>
/// <param name="Level">How it is.</param>
/// <param name="Found">What was found.</param>
/// <param name="Advice">What to do; null when nothing needs doing.</param>
internal sealed record CheckResult(string What, CheckLevel Level, string Found, string? Advice = null);
