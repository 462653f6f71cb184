"""Pages of a web site: crawled from one page, or listed by a sitemap. What it answers is a stranger's: bounded, and read in one direction.

robots   what robots.txt allows (RFC 9309)
links    where a page leads
sitemap  what a sitemap lists (sitemaps.org, protocol 0.9)
site     the source
"""
