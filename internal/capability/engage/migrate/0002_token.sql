create unique index engage_engagement_token on engage_engagement(account, region, alias, token) where token <> '';
