namespace Krewe.Models;

/// <summary>
/// A stack of calls that wait for their rules to end. Equal stacks of one <see cref="LazyAutomaton"/> are one object.
/// </summary>
internal sealed class Frame(int behind, Frame? below, int distance)
{
    /// <summary>Where the caller goes on.</summary>
    public int Return => behind;

    /// <summary>The caller's own callers; null at the bottom.</summary>
    public Frame? Below => below;

    /// <summary>Fewest bytes from the return to the end of the output.</summary>
    public int Distance => distance;
}

/// <summary>One way to read the output so far: the next byte is read in State.</summary>
internal readonly record struct Reading(int State, Frame? Calls);

/// <summary>
/// Every way to read the output so far, those with the shortest way to an end first. Equal ones of one
/// <see cref="LazyAutomaton"/> are one object.
/// </summary>
internal sealed class Configuration(Reading[] readings, bool accepts, int distance, int classCount)
{
    private readonly Configuration?[] _next = new Configuration?[classCount];

    public Reading[] Readings => readings;

    /// <summary>The output may end here.</summary>
    public bool Accepts => accepts;

    /// <summary>Fewest bytes to where it may.</summary>
    public int Distance => distance;

    /// <summary>The next space may be one that the decoder strips.</summary>
    public bool IsPadded { get; init; }

    /// <summary>Set once a mask was made.</summary>
    public TokenMask? Mask { get; set; }

    /// <summary>Number of the walk that met this one last.</summary>
    public int Walk { get; set; }

    /// <summary>What follows by each class of bytes; null where that was not asked for yet.</summary>
    public Configuration?[] Known => _next;
}
