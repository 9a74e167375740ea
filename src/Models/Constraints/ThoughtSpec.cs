namespace Krewe.Models;

/// <summary>A thought before what has a form: any text to its closing tag.</summary>
/// <param name="Opening">The tag before it.</param>
/// <param name="Closing">The tag behind it. Not empty.</param>
/// <param name="IsOpen">The prompt has opened it: the output begins within the thought. Else there may be none.</param>
/// <param name="Then">What follows.</param>
public sealed record ThoughtSpec(string Opening, string Closing, bool IsOpen, ConstraintSpec Then);
