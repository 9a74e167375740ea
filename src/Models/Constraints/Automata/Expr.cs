using System.Collections.Immutable;

namespace Krewe.Models;

/// <summary>What a stretch of text must look like: the right side of a rule.</summary>
internal abstract record Expr
{
    /// <summary>Matches nothing but the empty text.</summary>
    public static Expr Nothing { get; } = new Sequence([]);

    /// <summary>One character of the set.</summary>
    /// <param name="Set">Which.</param>
    /// <param name="InJson">It stands in a JSON string, so quotes, backslashes and controls are escaped.</param>
    public sealed record Chars(CodePointSet Set, bool InJson = false) : Expr;

    /// <summary>One character of the set, byte by byte where it stands; <see cref="Chars"/> comes to this.</summary>
    public sealed record Wide(CodePointSet Set) : Expr;

    /// <summary>This very text.</summary>
    public sealed record Literal(string Value) : Expr;

    public sealed record Sequence(ImmutableArray<Expr> Parts) : Expr;

    /// <summary>One of them; none at all matches no text.</summary>
    public sealed record Choice(ImmutableArray<Expr> Options) : Expr;

    /// <summary>Min to Max times; null = any number.</summary>
    public sealed record Repeat(Expr Body, int Min, int? Max) : Expr;

    /// <summary>Another rule of the grammar.</summary>
    public sealed record Call(int Rule) : Expr;

    /// <summary>Steps between nodes, from node 0 to the last one.</summary>
    public sealed record Graph(int Nodes, ImmutableArray<Step> Steps) : Expr;

    /// <summary>The start or the end of a text; only while a regular expression is read.</summary>
    public sealed record Anchor(bool IsStart) : Expr;

    /// <summary>One step of a graph; by nothing = an empty one.</summary>
    public sealed record Step(int From, int To, Expr? By);

    public static Expr Of(params ReadOnlySpan<Expr> parts) => parts.Length == 1 ? parts[0] : new Sequence([.. parts]);

    public static Expr Any(IEnumerable<Expr> options)
    {
        var all = options.ToImmutableArray();
        return all.Length == 1 ? all[0] : new Choice(all);
    }

    public static Expr Text(string text) => new Literal(text);

    public static Expr Optional(Expr body) => new Repeat(body, 0, 1);
}
