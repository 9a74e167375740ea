using System.Xml.Linq;

namespace Krewe.Simulation.Tests.Charts;

public sealed class Charts_are_drawn
{
    [Fact]
    public void As_well_formed_SVG_with_every_point_inside()
    {
        var chart = new SvgChart("a < b", "rate & more", "share") { YMax = 100, YGuide = 90 };
        chart.AddLine("ours", [new(0, 100), new(1, 95), new(2.7, 20)]);
        chart.AddMarks("published", [new(1, 96)]);

        var svg = XDocument.Parse(chart.Render()).Root!;

        var circles = svg.Elements().Where(e => e.Name.LocalName == "circle").ToArray();
        Assert.Equal(4 + 2, circles.Length);
        Assert.All(circles, c => Assert.InRange((double)c.Attribute("cx")!, 0, 720));
        Assert.Contains(svg.Elements(), e => e.Value == "a < b");
    }
}
