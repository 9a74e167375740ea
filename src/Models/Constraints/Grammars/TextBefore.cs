namespace Krewe.Models;

/// <summary>
/// Any text up to a mark, as a graph: node i has seen the mark's first i characters (Knuth, Morris and Pratt), so that
/// the mark counts where it comes first and nowhere else.
/// </summary>
internal static class TextBefore
{
    /// <param name="mark">Not empty.</param>
    /// <param name="then">What follows it.</param>
    /// <param name="mayEnd">The text may also end without the mark.</param>
    public static Expr.Graph Of(string mark, Expr then, bool mayEnd)
    {
        var (found, end) = (mark.Length, mark.Length + 1);
        List<Expr.Step> steps = [new(found, end, then)];
        for (var seen = 0; seen < mark.Length; seen++)
        {
            if (mayEnd) steps.Add(new Expr.Step(seen, end, null));
            var others = CodePointSet.All;
            foreach (var character in mark.Distinct())
            {
                var next = SeenAfter(mark, seen, character);
                others = others.Except(CodePointSet.Of(character));
                steps.Add(new Expr.Step(seen, next, new Expr.Chars(CodePointSet.Of(character))));
            }

            steps.Add(new Expr.Step(seen, 0, new Expr.Chars(others)));
        }

        return new Expr.Graph(end + 1, [.. steps]);
    }

    private static int SeenAfter(string mark, int seen, char next)
    {
        var text = mark[..seen] + next;
        var length = text.Length;
        while (!mark.StartsWith(text[^length..], StringComparison.Ordinal)) length--;
        return length;
    }
}
